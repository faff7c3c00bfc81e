"""Makes golden.safetensors: what Keras computes, for svertka to reproduce (see ../golden.rs).

    environment/.venv-compare/bin/python tests/golden/make_golden.py FOLDER

`environment/compare --set-up` makes that environment. FOLDER holds Fashion-MNIST's test files
(t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, gzipped or not).

Keras computes in float64, so that the stored numbers carry no rounding of their own. The script then repeats all of it in
float32 and prints how far plain Keras is from the stored numbers: the tolerances of the Rust test are worth something only
as long as that is a small part of them.

Everything is stored in libtorch's layout: images [n, channels, h, w], convolution kernels [filters, channels, h, w], dense
kernels [units, inputs] with inputs in channels-first order. Initial weights are not stored: both sides compute them by the
formula of `weight_values`. Tensors of more than FULL numbers are stored as samples and sums (see `summarised`).
"""

import gzip
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy
import tensorflow
from safetensors.numpy import save_file

FULL = 1500
SAMPLES = 1000
IMAGES = 77
BATCH = 8  # ten batches: nine of 8 images, the last of 5
ADAM_RATE = 1e-3
SGD_RATE = 0.1


# --- the nets -----------------------------------------------------------------------------------------------------------

def conv(filters, kernel, activation, **more):
    return lambda: keras.layers.Conv2D(filters, kernel, activation=activation, **more)


def pool(size, **more):
    return lambda: keras.layers.MaxPooling2D(size, **more)


def dense(units, activation):
    return lambda: keras.layers.Dense(units, activation=activation)


def flat():
    return lambda: keras.layers.Flatten()


def whole(images):
    return images[:, None, :, :]


def cropped(images):
    """27 x 27: odd, so that the pooling leaves rows and columns over."""
    return images[:, None, :27, :27]


def quarters(images):
    """Three of the image's quarters as three channels, [n, 3, 14, 14]."""
    return numpy.stack([images[:, :14, :14], images[:, :14, 14:], images[:, 14:, :14]], axis=1)


# The last layer stands in the list as the Rust test writes it. `(name, images, layers)`
NETS = [
    ("dense_net", whole, [flat(), dense(128, "relu"), dense(10, "softmax")]),
    (
        "cnn",
        whole,
        [conv(64, (3, 3), "relu"), pool((2, 2)), conv(64, (3, 3), "relu"), pool((2, 2)),
         flat(), dense(128, "relu"), dense(10, "softmax")],
    ),
    (
        "last_net",
        whole,
        [conv(16, (3, 3), "relu"), pool((2, 2)), flat(), dense(128, "relu"), dense(10, "softmax")],
    ),
    # 27x27 -> conv 5x3 -> 23x25 -> pool 3x2 -> 7x12 (2 rows, 1 column left over) -> 1 filter -> 6x11 -> pool -> 3x5
    (
        "odd_shapes",
        cropped,
        [conv(3, (5, 3), "relu"), pool((3, 2)), conv(1, (2, 2), "tanh"), pool((2, 2)),
         flat(), dense(7, "sigmoid"), dense(10, "softmax")],
    ),
    # One filter on the image itself, a convolution with no activation of its own, one unit.
    (
        "one_of_each",
        whole,
        [conv(1, (3, 3), "relu"), conv(2, (1, 4), "linear"), pool((4, 3)),
         flat(), dense(1, "tanh"), dense(10, "softmax")],
    ),
    (
        "three_channels",
        quarters,
        [conv(5, (3, 3), "sigmoid"), pool((2, 2)), conv(4, (2, 3), "relu"), flat(), dense(10, "softmax")],
    ),
    # Padding alike at both ends, and by one more at the bottom and right. What a pooling meets there must lose against the
    # negative numbers of tanh. 28 -> 28 -> 14 -> 14 -> 7 -> 7 -> 7
    (
        "same",
        whole,
        [conv(3, (3, 3), "relu", padding="same"), pool((2, 2), padding="same"), conv(2, (2, 2), "tanh", padding="same"),
         pool((3, 3), strides=2, padding="same"), conv(2, (5, 3), "linear", padding="same"),
         pool((2, 2), strides=1, padding="same"), flat(), dense(10, "softmax")],
    ),
    # 28x28 -> 14x14 -> 7x14 -> 7x7 -> 3x3
    (
        "same_strides",
        whole,
        [conv(3, (3, 3), "relu", strides=2, padding="same"), conv(2, (5, 3), "sigmoid", strides=(2, 1), padding="same"),
         pool((2, 3), strides=(1, 2), padding="same"), conv(2, (2, 2), "tanh", strides=3, padding="same"),
         flat(), dense(10, "softmax")],
    ),
    # 27x27 -> 27x27 -> 14x14 -> 7x14 -> 4x14 -> 2x5
    (
        "same_strides_odd",
        cropped,
        [conv(3, (3, 3), "relu", padding="same"), pool((3, 3), strides=2, padding="same"),
         conv(2, (5, 3), "tanh", strides=(2, 1), padding="same"), pool((2, 1), padding="same"),
         conv(2, (3, 3), "relu", strides=3, padding="same"), flat(), dense(10, "softmax")],
    ),
    # Windows that overlap and windows that leave pixels out. 27x27 -> 13x13 -> 6x6 -> 3x5 -> 2x2 -> 1x1
    (
        "strides",
        cropped,
        [conv(3, (3, 3), "relu", strides=2), pool((3, 3), strides=2), conv(3, (2, 2), "tanh", strides=(2, 1)),
         pool((2, 1), strides=(1, 3)), conv(4, (1, 1), "relu", strides=3), flat(), dense(10, "softmax")],
    ),
]


# --- weights that both sides compute ---------------------------------------------------------------------------------------

def weight_values(count, parameter):
    """`count` numbers in [-1, 1) for the net's parameter number `parameter`: a hash of the position, exact in float32."""
    x = numpy.arange(count, dtype=numpy.uint32) + numpy.uint32((parameter + 1) * 0x9E3779B9 & 0xFFFFFFFF)
    x ^= x >> 16
    x *= numpy.uint32(0x7FEB352D)
    x ^= x >> 15
    x *= numpy.uint32(0x846CA68B)
    x ^= x >> 16
    return (x >> 8).astype(numpy.float32) / numpy.float32(1 << 23) - numpy.float32(1)


def initial_weights(model):
    """libtorch's layout. Kernels reach up to Glorot's limit sqrt(6 / (fan_in + fan_out)), biases to 0.1."""
    weights = []
    for number, variable in enumerate(model.trainable_variables):
        shape = to_torch(variable.numpy(), model, number).shape
        if len(shape) == 1:
            limit = 0.1
        else:
            field = int(numpy.prod(shape[2:]))
            limit = numpy.sqrt(6.0 / ((shape[0] + shape[1]) * field))
        values = weight_values(int(numpy.prod(shape)), number) * numpy.float32(limit)
        weights.append(values.reshape(shape))
    return weights


# --- layouts ------------------------------------------------------------------------------------------------------------

def flattened_shape(model, number):
    """(h, w, channels) that Flatten met, where parameter `number` is the kernel of the dense layer behind it."""
    variable = model.trainable_variables[number]
    for before, layer in zip(model.layers, model.layers[1:]):
        if isinstance(before, keras.layers.Flatten) and layer.kernel is variable:
            return before.input.shape[1:]
    return None


def to_torch(value, model, number):
    if value.ndim == 4:  # [h, w, channels, filters]
        return value.transpose(3, 2, 0, 1)
    if value.ndim == 2:  # [inputs, units]
        met = flattened_shape(model, number)
        if met is not None:
            value = value.reshape(*met, -1).transpose(2, 0, 1, 3).reshape(value.shape)
        return value.T
    return value


def to_keras(value, model, number):
    if value.ndim == 4:
        return value.transpose(2, 3, 1, 0)
    if value.ndim == 2:
        value = value.T
        met = flattened_shape(model, number)
        if met is not None:
            h, w, channels = met
            value = value.reshape(channels, h, w, -1).transpose(1, 2, 0, 3).reshape(value.shape)
        return value
    return value


def output_to_torch(value, layer):
    if value.ndim == 4:
        return value.transpose(0, 3, 1, 2)
    if isinstance(layer, keras.layers.Flatten):
        h, w, channels = layer.input.shape[1:]
        return value.reshape(-1, h, w, channels).transpose(0, 3, 1, 2).reshape(value.shape)
    return value


# --- one net -------------------------------------------------------------------------------------------------------------

def build(layers, shape):
    channels, h, w = shape
    keras.backend.clear_session()
    return keras.Sequential([keras.Input((h, w, channels))] + [layer() for layer in layers])


def set_weights(model, weights):
    for number, (variable, value) in enumerate(zip(model.trainable_variables, weights)):
        variable.assign(to_keras(value, model, number))


def step(model, images, labels):
    with tensorflow.GradientTape() as tape:
        probabilities = model(images, training=True)
        loss = keras.losses.SparseCategoricalCrossentropy()(labels, probabilities)
    return loss, tape.gradient(loss, [variable.value for variable in model.trainable_variables])


def name_of(variable):
    return ".".join(variable.path.split("/")[-2:])


def run_net(name, prepare, layers, images, labels, floats):
    """All the numbers of one net as {name: array}, computed in `floats`."""
    keras.config.set_floatx(floats)
    images = prepare(images)
    model = build(layers, images.shape[1:])
    images = (images.transpose(0, 2, 3, 1) / 255.0).astype(floats)
    weights = initial_weights(model)
    names = [name_of(variable) for variable in model.trainable_variables]
    result = {}

    def keep(group, values):
        for number, (parameter, value) in enumerate(zip(names, values)):
            result[f"{name}/{group}/{parameter}"] = to_torch(numpy.asarray(value), model, number)

    # The forward pass on the short last batch, then on one image alone.
    set_weights(model, weights)
    layer_outputs = keras.Model(model.inputs[0], [layer.output for layer in model.layers])
    short, alone = slice(9 * BATCH, IMAGES), slice(0, 1)
    for group, part in (("short", short), ("alone", alone)):
        outputs = layer_outputs(images[part], training=False)
        for layer, output in zip(model.layers, outputs):
            if group == "short":
                result[f"{name}/{group}/output/{layer.name}"] = output_to_torch(numpy.asarray(output), layer)
        result[f"{name}/{group}/probabilities"] = numpy.asarray(outputs[-1])
        loss, gradients = step(model, images[part], labels[part])
        result[f"{name}/{group}/loss"] = numpy.asarray(loss).reshape(1)
        keep(f"{group}/gradient", gradients)

    for group, optimizer in (
        ("adam", keras.optimizers.Adam(ADAM_RATE)),
        ("sgd", keras.optimizers.SGD(SGD_RATE)),
        ("momentum", keras.optimizers.SGD(SGD_RATE, momentum=0.9)),
    ):
        set_weights(model, weights)
        losses = []
        for number in range(10):
            part = slice(number * BATCH, min((number + 1) * BATCH, IMAGES))
            loss, gradients = step(model, images[part], labels[part])
            losses.append(float(loss))
            optimizer.apply(gradients, model.trainable_variables)
            if number == 0 and group == "adam":
                keep("batch/gradient", gradients)
            if number in (0, 9):
                keep(f"{group}/{number + 1}", model.trainable_variables)
        result[f"{name}/{group}/losses"] = numpy.array(losses)
    return result


def summarised(values):
    """Tensors of up to FULL numbers as they are. Larger ones are seen as a matrix of n numbers, its first axes as rows and
    the others as columns, split where the matrix is closest to a square, and stored as `…#samples`, every k-th number of
    the row-major order with the odd k = n // SAMPLES | 1, and `…#rows` and `…#columns`, the sums over each row and each
    column, in which any wrong number shows."""
    small = {}
    for name, value in values.items():
        if value.size <= FULL:
            small[name] = value
            continue
        splits = [int(numpy.prod(value.shape[:axis])) for axis in range(1, value.ndim)]
        rows = min(splits, key=lambda rows: rows + value.size // rows)
        matrix = value.reshape(rows, -1).astype("float64")
        small[f"{name}#samples"] = matrix.reshape(-1)[:: value.size // SAMPLES | 1]
        small[f"{name}#rows"] = matrix.sum(axis=1)
        small[f"{name}#columns"] = matrix.sum(axis=0)
    return small


# --- the file ------------------------------------------------------------------------------------------------------------

def idx(folder, name, header):
    plain, zipped = folder / name, folder / f"{name}.gz"
    data = gzip.open(zipped).read() if zipped.exists() else plain.read_bytes()
    return numpy.frombuffer(data, numpy.uint8, offset=header)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    images = idx(folder, "t10k-images-idx3-ubyte", 16).reshape(-1, 28, 28)[:IMAGES]
    labels = idx(folder, "t10k-labels-idx1-ubyte", 8)[:IMAGES]

    stored = {"images": images.copy(), "labels": labels.copy()}
    print(f"{'float32 against float64, worst':<40} absolute   abs or rel")
    for name, prepare, layers in NETS:
        exact = summarised(run_net(name, prepare, layers, images, labels, "float64"))
        plain = summarised(run_net(name, prepare, layers, images, labels, "float32"))
        groups = {}
        for key, value in exact.items():
            difference = numpy.abs(value - plain[key].astype("float64"))
            group = "/".join(key.split("/")[:3])
            worst = groups.setdefault(group, [0.0, 0.0])
            worst[0] = max(worst[0], difference.max())
            worst[1] = max(worst[1], (difference / numpy.maximum(1, numpy.abs(value))).max())
            stored[key] = numpy.ascontiguousarray(value.astype("float32"))
        for group, (absolute, either) in groups.items():
            print(f"{group:<40} {absolute:.1e}    {either:.1e}")

    target = Path(__file__).with_name("golden.safetensors")
    versions = {"keras": keras.__version__, "tensorflow": tensorflow.__version__, "numpy": numpy.__version__}
    save_file(stored, target, metadata=versions)
    print(f"{target.name}: {len(stored)} tensors, {target.stat().st_size:,} bytes")


main()
