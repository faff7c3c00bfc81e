"""The lesson's work in PyTorch, with the loop that its tutorials teach, and a clock around each part.

Prints a JSON line for each part, as `lesson_keras.py` does. `compare.py` runs it.
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
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

seconds = {"import": time.perf_counter() - started}
if options.seed is not None:
    torch.manual_seed(options.seed)


def timed(part, work, *arguments):
    started = time.perf_counter()
    result = work(*arguments)
    seconds[part] = seconds.get(part, 0.0) + time.perf_counter() - started
    return result


def tell(part, **more):
    print(json.dumps({"part": part, "seconds": seconds[part], **more}), flush=True)


def load_data(name):
    """Training and test set as datasets of [n, 1, 28, 28] in 0..1: unpacked, not checked."""

    def idx(file, header, shape):
        with gzip.open(options.data / name / f"{file}.gz", "rb") as opened:
            return np.frombuffer(opened.read(), np.uint8, offset=header).reshape(shape)

    def dataset(part):
        images = idx(f"{part}-images-idx3-ubyte", 16, (-1, 1, 28, 28)).astype(np.float32) / 255
        labels = idx(f"{part}-labels-idx1-ubyte", 8, -1).astype(np.int64)
        return TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))

    return dataset("train"), dataset("t10k")


def train(model, dataset, epochs):
    """Returns the accuracy over the last epoch."""
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters())
    model.train()
    for epoch in range(epochs):
        loss_sum, right = 0.0, 0
        for images, labels in DataLoader(dataset, batch_size=32, shuffle=True):
            optimizer.zero_grad()
            outputs = model(images)
            loss = loss_function(outputs, labels)
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(images)
            right += (outputs.argmax(1) == labels).sum().item()
        print(f"epoch {epoch + 1}: loss {loss_sum / len(dataset):.4f}, accuracy {right / len(dataset):.4f}", flush=True)
    return right / len(dataset)


def evaluate(model, dataset):
    model.eval()
    right = 0
    with torch.no_grad():
        for images, labels in DataLoader(dataset, batch_size=32):
            right += (model(images).argmax(1) == labels).sum().item()
    return right / len(dataset)


def activation_grid(model, dataset):
    figure, axes = plt.subplots(3, 4)
    with torch.no_grad():
        for row, image in enumerate((0, 23, 28)):
            output = dataset[image][0][None]
            for column in range(4):
                # The model's convolutions hold their ReLU as a layer of its own.
                for layer in (model[:2], model[2:3], model[3:5], model[5:6])[column]:
                    output = layer(output)
                axes[row, column].imshow(output[0, 1].numpy(), cmap="inferno")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")


tell("import", pytorch=torch.__version__)

if not options.only_cnn:
    train_set, test_set = timed("load", load_data, "fashion-mnist")
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    accuracy = timed("dense fit", train, model, train_set, dense_epochs)
    tell("dense fit", train_accuracy=accuracy, test_accuracy=evaluate(model, test_set))

train_set, test_set = timed("load", load_data, "fashion-mnist")
model = nn.Sequential(
    nn.Conv2d(1, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(64, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Linear(128, 10),
)
accuracy = timed("cnn fit", train, model, train_set, cnn_epochs)
test_accuracy = timed("evaluate", evaluate, model, test_set)
tell("cnn fit", train_accuracy=accuracy, test_accuracy=test_accuracy)
tell("evaluate")

if not options.only_cnn:
    timed("activation grid", activation_grid, model, test_set)
    tell("activation grid")

    train_set, test_set = timed("load digits", load_data, options.digits)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2704, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    accuracy = timed("last fit", train, model, train_set, last_epochs)
    tell("last fit", train_accuracy=accuracy, test_accuracy=evaluate(model, test_set), images=len(train_set))

tell("load")
