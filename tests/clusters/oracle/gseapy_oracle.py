"""Makes gseapy.json: what gseapy says of three gene lists. Nothing here runs in the tests (gseapy brings 430 MB with it).

To make it again, in an environment with gseapy: python tests/clusters/oracle/gseapy_oracle.py
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import gseapy

HERE = Path(__file__).parent
DATA = HERE.parents[2] / "examples" / "data"
HUBS = ("PIK3CA", "NDUFB8", "H4C3")


def main() -> None:
    with gzip.open(DATA / "enrichr_GO_BP_2021.gmt.gz", "rt") as file:
        lines = [line.rstrip("\n").split("\t") for line in file]
    sets = {name: [gene for gene in genes if gene] for name, _, *genes in lines[::3]}  # every third set is enough
    with gzip.open(DATA / "string12_ndd_edges.tsv.gz", "rt") as file:
        edges = [line.split("\t")[:2] for line in file][1:]
    annotated = {gene for genes in sets.values() for gene in genes}
    background = {end for edge in edges for end in edge} & annotated
    found = {}
    for hub in HUBS:
        genes = sorted({end for edge in edges if hub in edge for end in edge})
        ran = gseapy.enrich(gene_list=genes, gene_sets=sets, background=sorted(background), outdir=None, no_plot=True)
        found[hub] = {
            row["Term"]: [row["P-value"], row["Adjusted P-value"], sorted(row["Genes"].split(";"))]
            for _, row in ran.res2d.iterrows()
        }
    made_by = f"gseapy {gseapy.__version__}"
    text = json.dumps({"made_by": made_by, "background": len(background), "terms": found}, indent=0, sort_keys=True)
    (HERE / "gseapy.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
