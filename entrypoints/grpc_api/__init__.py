"""The gRPC door: services of the package `hextune.v1`."""
