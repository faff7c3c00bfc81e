"""The lesson keeps the original's cells in their order, with one set-up cell below the first text."""

import re

import pytest
from conftest import LANGUAGES, cell, code_cells, fenced, original, prose_cells

# The table of the lesson: each of the original's cells, its kind, and what its counterpart must contain. Spaces and line
# breaks don't count in what code must contain.
NETWORK = ["Sequential::new([", "compile(Adam::default(),SparseCategoricalCrossentropy)"]
DENSE_LAYERS = "flatten(),dense(128,Relu),dense(10,Softmax)"
TABLE = [
    ("intro", "markdown", []),
    ("setup", "code", [':depsvertka={path=".."}', "usesvertka::prelude::*;"]),
    (
        "dense-net",
        "code",
        [
            "seed(",
            "datasets::fashion_mnist()?",
            "let(training_images,training_labels)=",
            "let(test_images,test_labels)=",
            "training_images/255.0",
            "test_images/255.0",
            *NETWORK,
            "[" + DENSE_LAYERS,
            "model.fit(&training_images,&training_labels,Fit::epochs(5))?",
            "letscore=model.evaluate(&test_images,&test_labels)?",
        ],
    ),
    ("convolutions", "markdown", []),
    (
        "convolutional-net",
        "code",
        [
            "versions()",
            "seed(",
            "reshape([60000,1,28,28])/255.0",
            "reshape([10000,1,28,28])/255.0",
            *NETWORK,
            "[conv2d(64,(3,3),Relu),max_pooling2d(2,2),conv2d(64,(3,3),Relu),max_pooling2d(2,2)," + DENSE_LAYERS,
            ".input_shape([1,28,28])",
            "model.summary()?",
            "model.fit(&training_images,&training_labels,Fit::epochs(5))?",
            "letscore=model.evaluate(&test_images,&test_labels)?",
        ],
    ),
    ("step-by-step", "markdown", []),
    ("look-inside", "markdown", []),
    ("labels", "code", ["test_labels.i(..100)"]),
    (
        "grid",
        "code",
        [
            "FIRST_IMAGE:i64=0;",
            "SECOND_IMAGE:i64=23;",
            "THIRD_IMAGE:i64=28;",
            "CONVOLUTION_NUMBER:i64=1;",
            "activation_grid(&model,&test_images,[FIRST_IMAGE,SECOND_IMAGE,THIRD_IMAGE],CONVOLUTION_NUMBER)?.names(class_names)",
        ],
    ),
    ("exercises", "markdown", []),
    (
        "digits",
        "code",
        [
            "versions()",
            "seed(",
            "datasets::mnist()?",
            # The sample of digits has fewer images than the full set.
            "training_images.reshape([-1,1,28,28])/255.0",
            "test_images.reshape([-1,1,28,28])/255.0",
            *NETWORK,
            "[conv2d(16,(3,3),Relu),max_pooling2d(2,2)," + DENSE_LAYERS,
            ".input_shape([1,28,28])",
            "model.fit(&training_images,&training_labels,Fit::epochs(10))?",
            "model.evaluate(&test_images,&test_labels)?",
            'println!("{:.4}",score.accuracy',
        ],
    ),
]

# What the prose must tell, by cell: in Russian and in English.
TOLD = {
    "intro": (["три слоя", "тестовой"], ["three layers", "test accuracy"]),
    "convolutions": (["свёртк", "3×3", "8", r"Kernel_\(image_processing\)"], ["convolution", "3×3", "8", r"Kernel_\(image_processing\)"]),
    "step-by-step": (
        [r"epochs\(20\)", "[Пп]ереобучение", r"\[изображения, каналы, высота, ширина\]", "60000×28×28×1", "четверть", "четыре параметра", "243\u00a0786"],
        [r"epochs\(20\)", "[Oo]verfitting", r"\[images, channels, height, width\]", "60000×28×28×1", "quarter", "four parameters", "243,786"],
    ),
    "look-inside": (["0, 23 и 28", r"\b9\b", "ankle boot", "от 0 до 63"], ["0, 23 and 28", r"\b9\b", "ankle boot", "from 0 to 63"]),
    "exercises": (
        [r"(?m)^1\. .*16 или 64 вместо 32", r"(?m)^2\. ", r"(?m)^3\. ", r"(?m)^4\. ", r"(?m)^5\. .*потер", r"\(exercises\.ru\.ipynb\)"],
        [r"(?m)^1\. .*16 or 64.*instead of 32", r"(?m)^2\. ", r"(?m)^3\. ", r"(?m)^4\. ", r"(?m)^5\. .*loss", r"\(exercises\.en\.ipynb\)"],
    ),
}


@pytest.fixture(params=LANGUAGES)
def language(request):
    return request.param


@pytest.fixture
def lesson(language):
    return original(f"lesson.{language}.ipynb")


def test_number_order_and_kind_of_cells(lesson):
    assert [(cell.id, cell.cell_type) for cell in lesson.cells] == [(name, kind) for name, kind, _ in TABLE]


@pytest.mark.parametrize("name, needed", [(name, needed) for name, kind, needed in TABLE if kind == "code"])
def test_code_cell_does_what_the_originals_does(lesson, name, needed):
    code = re.sub(r"\s+", "", cell(lesson, name).source)
    for piece in needed:
        assert piece in code, f"{name} lacks {piece}"


def test_code_cells_stay_short(lesson):
    for code in code_cells(lesson):
        lines = [line for line in code.source.splitlines() if line.strip()]
        assert len(lines) <= 21, f"{code.id}: {len(lines)} lines"
        assert max(map(len, lines)) <= 100, f"{code.id}: a line too long for the page"


@pytest.mark.parametrize("name", TOLD)
def test_prose_tells_what_it_must(lesson, language, name):
    text = cell(lesson, name).source
    for pattern in TOLD[name][LANGUAGES.index(language)]:
        assert re.search(pattern, text), f"{name} does not tell: {pattern}"


def test_russian_is_typeset_as_russian():
    for prose in prose_cells(original("lesson.ru.ipynb")):
        text = re.sub(r"```.*?```|`[^`]*`|\$\$.*?\$\$|\]\([^)]*\)+", "", prose.source, flags=re.DOTALL)
        assert not re.search(r'["“”]', text), f"{prose.id}: quotation marks other than «»"
        assert not re.search(r"\s[-–]\s", text), f"{prose.id}: a hyphen or a short dash where a dash — belongs"


def test_steps_show_the_cells_own_code(lesson):
    """The code in the step-by-step text, put together, is the cell it explains."""
    steps = "\n".join(fenced(cell(lesson, "step-by-step").source))
    code = cell(lesson, "convolutional-net").source
    without_blank = [line for line in code.splitlines() if line.strip()]
    assert without_blank[0] == 'println!("{}", versions());'
    assert steps.splitlines() == without_blank[1:]
