"""What an image shows: answers of heads, labels and label maps stored in a file. No torch is needed."""
