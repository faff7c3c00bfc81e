//! The number of threads follows what the machine gives: the cores that the process may use and that others leave it.
//!
//! A file of its own, with one test at a time: nothing else may take the cores meanwhile.

mod common;

use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use common::{digits, lesson_cnn};
use svertka::prelude::*;

fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The command that runs the ignored test `name`, behind `before`, with none of the settings that decide of threads.
fn command(before: &[&str], name: &str) -> Command {
    let own = std::env::current_exe().unwrap();
    let mut words = before.iter().map(|word| word.to_string().into());
    let program = words.next().unwrap_or_else(|| own.clone().into_os_string());
    let mut command = Command::new(program);
    command.args(words);
    if !before.is_empty() {
        command.arg(own);
    }
    command
        .args([name, "--exact", "--ignored", "--nocapture", "--quiet"])
        .env("SVERTKA_DEVICE", "cpu");
    for variable in [
        "OMP_NUM_THREADS",
        "OMP_WAIT_POLICY",
        "GOMP_SPINCOUNT",
        "MKL_NUM_THREADS",
    ] {
        command.env_remove(variable);
    }
    command
}

/// The number behind `said: ` in what the command prints.
fn said(command: &mut Command) -> f64 {
    said_after(command, "said: ")
}

fn said_after(command: &mut Command, word: &str) -> f64 {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let said = text
        .split(word)
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    said.unwrap_or_else(|| panic!("{output:?}"))
        .parse()
        .unwrap()
}

/// Work without end, which ends with this value.
struct Busy(Child);

impl Busy {
    fn new() -> Self {
        Self(
            Command::new("bash")
                .args(["-c", "while :; do :; done"])
                .spawn()
                .unwrap(),
        )
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Where it kept all its threads, it took 3.6 times as long beside one busy process on two cores, and 6 times beside another
/// training. One thread of two takes 1.4 times as long as both; the rest of 2.6 is for the machine's noise.
#[test]
fn a_training_beside_others_is_not_held_up_by_its_own_threads() {
    let _alone = alone();
    if available_parallelism().unwrap().get() < 2 {
        println!("skipped: there is one core");
        return;
    }
    let seconds = || said(&mut command(&[], "train_for_a_while"));
    let before = seconds();
    // The better of two: what the machine's host does meanwhile is not this crate's.
    let better = |measure: &dyn Fn() -> f64| f64::min(measure(), measure());
    let beside = better(&|| {
        let _busy = Busy::new();
        seconds()
    });
    let twice = better(&|| {
        std::thread::scope(|scope| {
            let both = [(); 2].map(|()| scope.spawn(seconds));
            both.map(|one| one.join().unwrap()).iter().sum::<f64>() / 2.0
        })
    });
    let after = seconds();
    let alone = f64::min(before, after);
    println!(
        "alone {before} and {after} s, beside a busy process {beside}, beside another training {twice}"
    );
    assert!(
        beside < 2.6 * alone,
        "{beside} s beside a busy process, {alone} alone"
    );
    assert!(
        twice < 2.6 * alone,
        "{twice} s beside another training, {alone} alone"
    );
}

#[test]
#[ignore = "trains for a test"]
fn train_for_a_while() {
    let (images, labels) = digits(2000);
    let mut model = lesson_cnn();
    model.compile(Adam::default(), SparseCategoricalCrossentropy);
    let fit = Fit::epochs(3).verbosity(Verbosity::Silent);
    let history = model.fit(&images, &labels, fit).unwrap();
    // In the first it finds out.
    let seconds: f64 = history.epochs[1..].iter().map(|epoch| epoch.seconds).sum();
    println!("said: {seconds}");
}

#[test]
fn no_more_threads_than_the_process_may_use() {
    let _alone = alone();
    assert_eq!(
        said(&mut command(&["taskset", "-c", "0"], "say_the_number")),
        1.0
    );
    // libtorch's own number is that of the cores, which may have two processors each.
    let own = said_after(&mut command(&[], "say_the_number"), "before: ");
    let usable = available_parallelism().unwrap().get() as f64;
    assert_eq!(said(&mut command(&[], "say_the_number")), own.min(usable));
    // The user's own number stays.
    for number in ["1", "2"] {
        let mut command = command(&["taskset", "-c", "0"], "say_the_number");
        assert_eq!(
            said(command.env("OMP_NUM_THREADS", number)).to_string(),
            number
        );
    }
}

#[test]
#[ignore = "prints for no_more_threads_than_the_process_may_use"]
fn say_the_number() {
    println!("before: {}", tch::get_num_threads());
    let _model = lesson_cnn();
    println!("said: {}", tch::get_num_threads());
}
