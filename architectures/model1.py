"""model1: plain convolutions, no technique but light augmentation. Published: 7,616 parameters, 98.89 %.

Map sizes on 28x28 images: 28-26-24-22, pool, 11-9-7, pool, 3-3-3.
"""

from architectures.spec import Architecture, Classifier, Conv, Levels, Published

ARCHITECTURE = Architecture(
    name="model1",
    title="Plain convolutions",
    blocks=(
        Conv(16),
        Conv(8),
        Conv(16, pool=2),
        Conv(8),
        Conv(16, pool=2),
        Conv(8, padding=1),
    ),
    classifier=Classifier(padding=1),
    preset=Levels(batch_norm=False, gap=False, dropout=0.0, augmentation="basic", scheduler="step"),
    published=Published(
        parameters=7_616,
        epochs=15,
        test_accuracy=0.9889,
        curve={1: (0.6917, 0.9619), 5: (0.9740, 0.9803), 15: (0.9832, 0.9889)},
    ),
    source="First of three published MNIST networks, a single run of 15 epochs. The published parameter count "
    "fixes the widths and the final Linear(90, 10); the map sizes follow from them.",
)
