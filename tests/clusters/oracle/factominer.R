# Makes factominer.json: what FactoMineR (GPL; Debian's r-cran-factominer) says of our own tables. Nothing of FactoMineR's
# data goes in, and nothing here runs in the tests. To make it again:
#   apt-get install r-cran-factominer r-cran-jsonlite && Rscript tests/clusters/oracle/factominer.R
suppressMessages({library(FactoMineR); library(jsonlite)})
folder <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
data <- file.path(folder, "..", "..", "..", "examples", "data", "hpo_ndd_entities_matrix.csv.gz")

described <- function(clusters) {
  lapply(clusters, function(one) {
    if (is.null(one)) return(list())
    one <- as.data.frame(one)
    one$row <- rownames(one)
    one
  })
}

# Categories: every eighth disease, the 20 commonest terms.
table <- read.csv(gzfile(data), check.names = FALSE)
table <- table[order(table$entity_id), ]
table <- table[seq(1, nrow(table), by = 8), ]
terms <- names(table)[4:23]
categories <- as.data.frame(lapply(table[terms], factor), check.names = FALSE)
rownames(categories) <- table$entity_id
found <- MCA(categories, ncp = 5, graph = FALSE)
tree <- HCPC(found, nb.clust = -1, graph = FALSE, kk = Inf, order = FALSE)
seven <- HCPC(found, nb.clust = 7, graph = FALSE, kk = Inf, order = FALSE)
plain <- HCPC(found, nb.clust = 7, graph = FALSE, kk = Inf, order = FALSE, consol = FALSE)
within <- tree$call$t$within

# Numbers: four columns that follow from the row's number alone, so that both sides can make them.
n <- 120
i <- seq_len(n) - 1
numbers <- data.frame(a = (i %% 3) * 4 + sin(i), b = (i %% 3)^2 + cos(2 * i), c = sin(3 * i) * 2, d = (i %% 3) * -1 + cos(5 * i) / 2)
principal <- PCA(numbers, ncp = 2, graph = FALSE)
grown <- HCPC(principal, nb.clust = -1, graph = FALSE, kk = Inf, order = FALSE)

by_row <- function(tree, rows) as.character(tree$data.clust[rows, "clust"])
write_json(list(
  made_by = paste("FactoMineR", packageVersion("FactoMineR"), R.version.string),
  mca = list(ids = table$entity_id, terms = terms, eigenvalues = found$eig[, 1], coordinates = found$ind$coord,
             within = within[1:10], clusters = by_row(tree, rownames(categories)), seven = by_row(seven, rownames(categories)),
             plain = by_row(plain, rownames(categories)),
             described = described(tree$desc.var$category)),
  pca = list(eigenvalues = principal$eig[, 1], coordinates = principal$ind$coord, clusters = by_row(grown, rownames(numbers)),
             described = described(grown$desc.var$quanti))
), file.path(folder, "factominer.json"), digits = NA, auto_unbox = TRUE)
