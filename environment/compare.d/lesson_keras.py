"""The original lesson in Python, its cells as they stand, with a clock around each part.

Prints a JSON line for each part: {"part": "cnn fit", "seconds": 99.8, ...}. `compare.py` runs it.
"""

import argparse
import gzip
import io
import json
import time
from pathlib import Path

options = argparse.ArgumentParser()
options.add_argument("--data", type=Path, required=True, help="folder with fashion-mnist/*.gz and mnist/*.gz")
options.add_argument("--digits", default="mnist", help="the subfolder of the handwritten digits")
options.add_argument("--epochs", default="5,5,10", help="of the dense net, the CNN and the last net")
options.add_argument("--only-cnn", action="store_true", help="train and test the CNN, nothing else")
options.add_argument("--seed", type=int)
options = options.parse_args()
dense_epochs, cnn_epochs, last_epochs = (int(number) for number in options.epochs.split(","))

started = time.perf_counter()
import matplotlib

matplotlib.use("agg")
import keras
import matplotlib.pyplot as plt
import numpy as np

seconds = {"import": time.perf_counter() - started}
if options.seed is not None:
    keras.utils.set_random_seed(options.seed)


class clock:
    """Adds the time of its block to the named part: the lesson loads Fashion-MNIST twice."""

    def __init__(self, part):
        self.part = part

    def __enter__(self):
        self.started = time.perf_counter()

    def __exit__(self, *_):
        seconds[self.part] = seconds.get(self.part, 0.0) + time.perf_counter() - self.started


def tell(part, **more):
    print("\n" + json.dumps({"part": part, "seconds": seconds[part], **more}), flush=True)


def load_data(name):
    """What keras.datasets.fashion_mnist.load_data() does once its files are there, for either dataset: it unpacks them
    and checks nothing. (Keras keeps MNIST in a file of its own, which has to be downloaded.)"""

    def idx(file, header, shape):
        with gzip.open(options.data / name / f"{file}.gz", "rb") as opened:
            return np.frombuffer(opened.read(), np.uint8, offset=header).reshape(shape)

    return (
        (idx("train-images-idx3-ubyte", 16, (-1, 28, 28)), idx("train-labels-idx1-ubyte", 8, -1)),
        (idx("t10k-images-idx3-ubyte", 16, (-1, 28, 28)), idx("t10k-labels-idx1-ubyte", 8, -1)),
    )


tell("import", keras=keras.__version__)

# --- the dense net
if not options.only_cnn:
    with clock("load"):
        (training_images, training_labels), (test_images, test_labels) = load_data("fashion-mnist")
        training_images = training_images / 255.0
        test_images = test_images / 255.0

    model = keras.models.Sequential([
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    with clock("dense fit"):
        history = model.fit(training_images, training_labels, epochs=dense_epochs)
    test_loss, test_accuracy = model.evaluate(test_images, test_labels)
    tell("dense fit", train_accuracy=history.history["accuracy"][-1], test_accuracy=test_accuracy)

# --- the convolutions
with clock("load"):
    (training_images, training_labels), (test_images, test_labels) = load_data("fashion-mnist")
    training_images = training_images.reshape(60000, 28, 28, 1)
    training_images = training_images / 255.0
    test_images = test_images.reshape(10000, 28, 28, 1)
    test_images = test_images / 255.0

model = keras.models.Sequential([
    keras.Input((28, 28, 1)),
    keras.layers.Conv2D(64, (3, 3), activation="relu"),
    keras.layers.MaxPooling2D(2, 2),
    keras.layers.Conv2D(64, (3, 3), activation="relu"),
    keras.layers.MaxPooling2D(2, 2),
    keras.layers.Flatten(),
    keras.layers.Dense(128, activation="relu"),
    keras.layers.Dense(10, activation="softmax"),
])
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.summary()
with clock("cnn fit"):
    history = model.fit(training_images, training_labels, epochs=cnn_epochs)
with clock("evaluate"):
    test_loss, test_accuracy = model.evaluate(test_images, test_labels)
tell("cnn fit", train_accuracy=history.history["accuracy"][-1], test_accuracy=test_accuracy)
tell("evaluate")

if not options.only_cnn:
    # --- looking at convolutions and pooling
    print(test_labels[:100])

    with clock("activation grid"):
        f, axarr = plt.subplots(3, 4)
        FIRST_IMAGE = 0
        SECOND_IMAGE = 23
        THIRD_IMAGE = 28
        CONVOLUTION_NUMBER = 1
        layer_outputs = [layer.output for layer in model.layers]
        activation_model = keras.models.Model(inputs=model.inputs[0], outputs=layer_outputs)
        for x in range(0, 4):
            f1 = activation_model.predict(test_images[FIRST_IMAGE].reshape(1, 28, 28, 1))[x]
            axarr[0, x].imshow(f1[0, :, :, CONVOLUTION_NUMBER], cmap="inferno")
            axarr[0, x].grid(False)
            f2 = activation_model.predict(test_images[SECOND_IMAGE].reshape(1, 28, 28, 1))[x]
            axarr[1, x].imshow(f2[0, :, :, CONVOLUTION_NUMBER], cmap="inferno")
            axarr[1, x].grid(False)
            f3 = activation_model.predict(test_images[THIRD_IMAGE].reshape(1, 28, 28, 1))[x]
            axarr[2, x].imshow(f3[0, :, :, CONVOLUTION_NUMBER], cmap="inferno")
            axarr[2, x].grid(False)
        # A notebook shows the figure at the cell's end: it draws a PNG.
        picture = io.BytesIO()
        f.savefig(picture, format="png")
    tell("activation grid", bytes=len(picture.getvalue()))

    # --- the last cell: handwritten digits
    with clock("load digits"):
        (training_images, training_labels), (test_images, test_labels) = load_data(options.digits)
        training_images = training_images.reshape(-1, 28, 28, 1)
        training_images = training_images / 255.0
        test_images = test_images.reshape(-1, 28, 28, 1)
        test_images = test_images / 255.0
    model = keras.models.Sequential([
        keras.Input((28, 28, 1)),
        keras.layers.Conv2D(16, (3, 3), activation="relu"),
        keras.layers.MaxPooling2D(2, 2),
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    with clock("last fit"):
        history = model.fit(training_images, training_labels, epochs=last_epochs)
    test_loss, test_accuracy = model.evaluate(test_images, test_labels)
    print(test_accuracy)
    tell(
        "last fit",
        train_accuracy=history.history["accuracy"][-1],
        test_accuracy=test_accuracy,
        images=len(training_images),
    )

tell("load")
