"""Networks that judge, fitted: features, embeddings of copies, classifiers."""
