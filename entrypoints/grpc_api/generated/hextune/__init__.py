"""Code that `python -m entrypoints.grpc_api.generate` writes from the protos; edit those."""
