"""What of an atlas's page is for others: how a link to it looks, lossless pictures."""
