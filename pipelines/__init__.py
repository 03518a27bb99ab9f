"""Clips and annotations in, published data set versions out."""
