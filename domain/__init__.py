"""What is true about fine-tuning: plain values and pure decisions, standard library only."""
