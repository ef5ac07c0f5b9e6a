"""The science of miStudio mesh: models and hooks, activations, sparse autoencoders, evaluation, features, formats.

Pure torch and transformers; it knows nothing of jobs, queues or services.
"""
