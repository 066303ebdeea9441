"""The gate for CI: is this tree as good as the baseline, and as fast as another tree?"""
