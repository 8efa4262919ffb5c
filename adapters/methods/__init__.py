"""Fine-tuning methods: one file each. A file declares `Options`, `ADAPTER_BASED`, `trainable` and
`prepare`."""
