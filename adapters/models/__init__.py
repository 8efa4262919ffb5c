"""Models through Hugging Face transformers and PEFT."""
