"""The extractor service: measures the features of SAEs, stores activations, and answers queries about features."""
