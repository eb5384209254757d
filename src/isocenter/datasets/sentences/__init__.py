"""What a sentence about a radiological image can mean, and many ways to say it in two languages."""
