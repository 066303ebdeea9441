"""Cuts pictures for textures.py and models.py from three photographs that come with scikit-image.

    pip install scikit-image
    python pictures.py          writes pictures/train/<class>/ and pictures/test/<class>/

The photographs (512 x 512 pixels, gray, CC0) show brick, grass and gravel. Squares of 16 x 16 pixels are cut from each
and don't overlap: 704 from the left two thirds to train on, 320 from the right third as test set.
"""

from pathlib import Path

from skimage import data, io

SIDE = 16

for name, photograph in (("brick", data.brick()), ("grass", data.grass()), ("gravel", data.gravel())):
    height, width = photograph.shape
    for top in range(0, height, SIDE):
        for left in range(0, width, SIDE):
            split = "train" if left < width * 2 // 3 else "test"
            file = Path("pictures", split, name, f"{top:03}-{left:03}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            io.imsave(file, photograph[top : top + SIDE, left : left + SIDE], check_contrast=False)
