"""Training beside SAELens, sparsify and dictionary_learning."""
