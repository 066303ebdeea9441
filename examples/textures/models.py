"""What are the techniques of the published models worth on textures, which are no digits?

python pictures.py          as for textures.py
bench select models.py      the learning rates below, by training images that were held out
bench run models.py         the rows in results/ and the report in reports/
"""

from bench.study import Study, image_folder

STUDY = Study(
    architectures=["model1", "model2", "model3"],
    data=image_folder("pictures", size=28),
    epochs=10,
    batch_size=16,
    optimizer="adamw",  # in so few steps SGD leaves some networks without batch norm at chance
    seeds=20,
    rates={
        ("step", False): 0.003,
        ("step", True): 0.003,
        ("cosine", False): 0.003,
        ("cosine", True): 0.003,
        ("onecycle", False): 0.003,
        ("onecycle", True): 0.03,
    },
    rates_by=["scheduler", "batch_norm"],
)
