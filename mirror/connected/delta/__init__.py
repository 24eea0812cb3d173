"""Making a delta of two bundles: ``wheels`` finds how a wheel was packed, ``frames`` compresses, ``making`` holds the order."""
