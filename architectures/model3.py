"""model3: padded convolutions, stronger augmentation and a one-cycle rate. Published: 7,762 parameters, 99.46 %.

Map sizes on 28x28 images: 28-28, pool, 14-14, pool, 7, pool, 3.
"""

from architectures.spec import Architecture, Classifier, Conv, Levels, Published

ARCHITECTURE = Architecture(
    name="model3",
    title="Augmentation and a one-cycle schedule",
    blocks=(
        Conv(8, padding=1),
        Conv(8, padding=1, pool=2),
        Conv(12, padding=1),
        Conv(12, padding=1, pool=2),
        Conv(24, padding=1, pool=2),
    ),
    classifier=Classifier(padding=1),
    preset=Levels(batch_norm=True, gap=True, dropout=0.0, augmentation="advanced", scheduler="onecycle"),
    published=Published(
        parameters=7_762,
        epochs=15,
        test_accuracy=0.9946,
        curve={1: (0.9163, 0.9849), 5: (0.9783, 0.9930), 15: (0.9834, 0.9946)},
    ),
    source="Third of three published MNIST networks, a single run of 15 epochs. The published parameter count "
    "fixes the widths; that three pools follow the second, fourth and fifth block is chosen here.",
)
