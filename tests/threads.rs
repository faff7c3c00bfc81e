//! The number of threads follows what the machine gives: the cores that the process may use and that others leave it.
//!
//! A file of its own, with one test at a time: nothing else may take the cores meanwhile.

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, Instant, UNIX_EPOCH};

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

/// What a training of many short epochs told at the end of one of them.
struct Told {
    /// Seconds since 1970.
    at: f64,
    images_per_second: f64,
    threads: i32,
}

/// Trains for ten seconds, from the third to the sixth beside a busy process: what it told before, meanwhile, and from two
/// seconds after that process ended; and whether the progress line told of it.
fn train_beside_what_comes_and_goes() -> ([Vec<Told>; 3], bool) {
    let now = || UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let mut command = command(&[], "train_and_tell");
    command
        .env("SVERTKA_KERNEL", "1")
        .env("SVERTKA_LANG", "en")
        .stdout(Stdio::piped());
    let child = command.spawn().unwrap();
    // Read at once: a training whose output nobody takes would wait for that.
    let reader = std::thread::spawn(|| child.wait_with_output().unwrap().stdout);
    std::thread::sleep(Duration::from_secs(3));
    let begun = now();
    let busy = Busy::new();
    std::thread::sleep(Duration::from_secs(3));
    drop(busy);
    let ended = now();
    let text = String::from_utf8_lossy(&reader.join().unwrap()).into_owned();
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    for line in text
        .split('\n')
        .filter_map(|line| line.split_once("told: "))
    {
        let numbers: Vec<f64> = line
            .1
            .split(' ')
            .map(|word| word.parse().unwrap())
            .collect();
        let told = Told {
            at: numbers[0],
            images_per_second: numbers[1],
            threads: numbers[2] as i32,
        };
        println!(
            "{:6.2} s  {:5.0} images/s  threads {}",
            told.at - begun,
            told.images_per_second,
            told.threads
        );
        let part = match told.at {
            at if at < begun => 0,
            at if at > begun + 1.0 && at < ended => 1,
            at if at > ended + 2.0 => 2,
            _ => continue,
        };
        parts[part].push(told);
    }
    (parts, text.contains("the machine is busy with other work"))
}

#[test]
fn two_seconds_after_the_others_have_ended_it_has_all_threads_again() {
    let _alone = alone();
    if available_parallelism().unwrap().get() != 2 {
        println!("skipped: a busy process takes half of two cores, and another part of others");
        return;
    }
    // Something else on the machine may take a core just then: of three tries one must see it as it is.
    let follows = |_| {
        let (parts, said) = train_beside_what_comes_and_goes();
        let all = |part: usize, threads| {
            !parts[part].is_empty() && parts[part].iter().all(|told| told.threads == threads)
        };
        let speed = |part: usize| {
            let told = &parts[part];
            told.iter().map(|told| told.images_per_second).sum::<f64>() / told.len() as f64
        };
        println!(
            "images/s: {:.0} before, {:.0} beside, {:.0} from 2 s after",
            speed(0),
            speed(1),
            speed(2)
        );
        all(1, 1) && all(2, 2) && said && speed(2) > 0.8 * speed(0)
    };
    assert!((0..3).any(follows));
}

#[test]
#[ignore = "trains for a test"]
fn train_and_tell() {
    struct Tell(Instant);
    impl Callback for Tell {
        fn on_epoch_end(&mut self, epoch: &Epoch, _: &mut Control) -> ControlFlow<String> {
            let at = UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
            let threads = tch::get_num_threads();
            println!("told: {at} {} {threads}", 1000.0 / epoch.seconds);
            if self.0.elapsed() > Duration::from_secs(10) {
                return ControlFlow::Break(String::new());
            }
            ControlFlow::Continue(())
        }
    }
    let (images, labels) = digits(1000);
    let mut model = lesson_cnn();
    model.compile(Adam::default(), SparseCategoricalCrossentropy);
    let fit = Fit::epochs(1000).callback(Tell(Instant::now()));
    model.fit(&images, &labels, fit).unwrap();
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

/// A control group of processes that may use so much of one core, in hundredths; gone with this value.
struct Quota(PathBuf);

impl Quota {
    /// None where the system lets this user make none.
    fn new(percent: u32) -> Option<Self> {
        let name = format!("svertka-{}", std::process::id());
        let quota = percent * 1000;
        // The second version of control groups, then the first.
        for (root, file, text) in [
            ("/sys/fs/cgroup", "cpu.max", format!("{quota} 100000")),
            ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", quota.to_string()),
        ] {
            let group = Path::new(root).join(&name);
            if fs::create_dir(&group).is_ok() {
                let group = Self(group);
                if group.0.join(file).exists() && fs::write(group.0.join(file), text).is_ok() {
                    return Some(group);
                }
            }
        }
        None
    }

    /// What starts a program in it.
    fn prefix(&self) -> [String; 4] {
        let enter = format!("echo $$ >{}/cgroup.procs && exec \"$@\"", self.0.display());
        ["bash".into(), "-c".into(), enter, "bash".into()]
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn no_more_threads_than_a_control_group_gives_cores() {
    let _alone = alone();
    let own = said_after(&mut command(&[], "say_the_number"), "before: ");
    for (percent, cores) in [(50, 1.0), (100, 1.0), (150, 1.0), (200, 2.0)] {
        let Some(quota) = Quota::new(percent) else {
            println!("skipped: this user can't make control groups here");
            return;
        };
        let prefix = quota.prefix();
        let prefix: Vec<&str> = prefix.iter().map(String::as_str).collect();
        let number = said(&mut command(&prefix, "say_the_number"));
        assert_eq!(number, f64::min(own, cores), "{percent} %");
    }
}

#[test]
#[ignore = "prints for no_more_threads_than_the_process_may_use"]
fn say_the_number() {
    println!("before: {}", tch::get_num_threads());
    let _model = lesson_cnn();
    println!("said: {}", tch::get_num_threads());
}
