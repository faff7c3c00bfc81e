"""A kernel takes little memory, and knows the types all the same: rust-analyzer isn't shown all that is compiled."""

import os
import re

import kernels
import pytest

# MB. On the machine where this was written a ready kernel takes some 350.
MOST_MEMORY = 700

# An expression whose type is only found by reading the sources that it comes from, and the type.
TYPES = [
    ('"a b".split(\' \').map(str::to_owned).collect::<Vec<_>>()', "Vec<String>"),
    ("vec![1u8, 2].iter().map(|n| f64::from(*n)).sum::<f64>()", "f64"),
    ("std::collections::HashMap::from([(1u8, 2.0f32)])", "HashMap<u8, f32>"),
    ("std::collections::HashMap::from([(1u8, 2.0f32)]).into_iter().next()", "Option<(u8, f32)>"),
    ('std::collections::BTreeMap::from([("a", vec![1i64])])', "BTreeMap<&str, Vec<i64>>"),
    ("std::collections::HashSet::from([1u16]).len()", "usize"),
    ("(0..3i32).collect::<std::collections::VecDeque<_>>()", "VecDeque<i32>"),
    ("std::collections::BinaryHeap::from([2u32])", "BinaryHeap<u32>"),
    ('"7".parse::<i32>()', "Result<i32, ParseIntError>"),
    ("Some(3i32).map(|n| n as f32).unwrap_or_default()", "f32"),
    ("Box::new(5u64)", "Box<u64>"),
    ("std::rc::Rc::new(std::cell::RefCell::new(String::new()))", "Rc<RefCell<String>>"),
    ("std::sync::Arc::new(std::sync::Mutex::new(1u8))", "Arc<Mutex<u8>>"),
    ("std::time::Instant::now().elapsed().as_secs_f64()", "f64"),
    ("std::time::Duration::from_millis(5) * 2", "Duration"),
    ('std::path::Path::new("a").join("b")', "PathBuf"),
    ("std::env::current_dir()?", "PathBuf"),
    ('std::fs::read_to_string("/proc/self/stat")?.len()', "usize"),
    ('std::fs::File::open("/proc/self/stat")?', "File"),
    ('format!("{}", 1).chars().rev().collect::<String>()', "String"),
    ("std::thread::spawn(|| 5u8).join().unwrap()", "u8"),
    ("std::sync::mpsc::channel::<i32>().1.try_recv().is_err()", "bool"),
    ("[3, 1, 2u8].into_iter().max().unwrap()", "u8"),
    ("[[1.0f32; 2]; 3]", "[[f32; 2]; 3]"),
    ("i32::MAX.checked_add(1)", "Option<i32>"),
    ("u64::from_str_radix(\"ff\", 16)?", "u64"),
    ("std::net::Ipv4Addr::LOCALHOST", "Ipv4Addr"),
    ("std::num::NonZeroU8::new(3).unwrap()", "NonZero<u8>"),
    ("char::from(65u8).to_ascii_lowercase()", "char"),
    ("std::borrow::Cow::from(\"a\").into_owned()", "String"),
    ("versions()", "Versions"),
    ("Sequential::new([flatten(), dense(10, Softmax)]).input_shape([1, 28, 28])", "Sequential"),
    ("Tensor::zeros([2, 3], (Kind::Float, Device::Cpu))", "Tensor"),
    ("Tensor::zeros([2, 3], (Kind::Float, Device::Cpu)).size()", "Vec<i64>"),
    ("Tensor::zeros([2, 3], (Kind::Float, Device::Cpu)).i(..1) + 1.0", "Tensor"),
    ("Tensor::from_slice(&[1.0f32]).double_value(&[0])", "f64"),
    ("Vec::<f32>::try_from(Tensor::zeros([2], (Kind::Float, Device::Cpu)))?", "Vec<f32>"),
]


@pytest.fixture(scope="module")
def crate():
    kernel = kernels.Kernel()
    kernel.ok(f':dep svertka = {{ path = "{kernels.PROJECT}" }}')
    kernel.ok("use svertka::prelude::*;")
    yield kernel
    kernel.stop()


def test_a_ready_kernel_takes_little_memory():
    kernel = kernels.Kernel()
    megabytes = kernels.memory(kernel.pid)
    print(f"{megabytes:.0f} MB when ready")
    assert megabytes < MOST_MEMORY
    kernel.stop()


def test_cells_take_little_disk(crate):
    def own():
        """MB on disk that are this kernel's alone."""
        files = [path.lstat() for path in crate.folder.rglob("*") if path.is_file()]
        return sum(file.st_blocks for file in files if file.st_nlink == 1) * 512 / 1e6

    before = own()
    for number in range(10):
        crate.ok(f"let kept_{number} = Tensor::zeros([{number}], (Kind::Float, Device::Cpu)).size();")
    # 2.9 where this was written. What rustc would keep to compile a crate again took 27 in twenty cells.
    assert own() - before < 5


def test_the_types_of_variables_are_known(crate):
    crate.ok("\n".join(f"let found_{number} = {expression};" for number, (expression, _) in enumerate(TYPES)))
    # Without the paths that lead to the names.
    told = dict(re.findall(r"^(\w+): (?:mut )?(.*)$", re.sub(r"\w+::", "", crate.ok(":vars").result), re.MULTILINE))
    assert [told.get(f"found_{number}") for number in range(len(TYPES))] == [of for _, of in TYPES]


@pytest.mark.parametrize(
    "code, members",
    [
        ("let text = String::new(); text.", {"len", "chars", "trim", "push_str"}),
        ("let numbers = vec![1]; numbers.", {"len", "iter", "push", "sort"}),
        ("let map = std::collections::HashMap::from([(1, 2)]); map.", {"insert", "get", "keys", "entry"}),
        ("Tensor::", {"zeros", "randn", "from_slice"}),
        ("let model = Sequential::new([flatten()]); model.", {"fit", "evaluate", "summary", "predict"}),
    ],
)
def test_members_are_completed(crate, code, members):
    crate.client.complete(code, len(code))
    matches = crate.client.get_shell_msg(timeout=30)["content"]["matches"]
    assert members <= {match.split("(")[0] for match in matches}


def test_a_cell_finds_the_users_own_cargo_and_all_packages(crate, tmp_path):
    home = crate.ok('std::env::var("CARGO_HOME").unwrap_or_default()').result.strip('"')
    assert home == os.environ.get("CARGO_HOME", "")
    told = crate.ok(
        'let told = std::process::Command::new("cargo").args(["metadata", "--offline", "--format-version=1", "--manifest-path"])'
        f'.arg("{kernels.PROJECT}/Cargo.toml").output()?; String::from_utf8_lossy(&told.stdout).contains("plotters")'
    )
    assert told.result == "true"
