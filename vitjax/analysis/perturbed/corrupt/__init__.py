"""The corruptions of ImageNet-C (Hendrycks and Dietterich 2019), each made from its definition while images stream."""
