"""Clusters with evidence: networks and tables in, the same clusters out whenever the same content comes in."""
