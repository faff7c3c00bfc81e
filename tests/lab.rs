//! What the lab of the exercises promises: rows that repeat themselves, a table that no error changes, checks that tell
//! the done from the undone.

mod common;

use std::ops::ControlFlow;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::{message, printed_in};
use svertka::prelude::*;

fn silent(epochs: i64) -> Fit {
    Fit::epochs(epochs).verbosity(Verbosity::Silent)
}

/// The generator of random numbers is the process's: tests that lean on it must not run side by side.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// So many real digits and their labels, as the notebooks prepare them.
fn digits(n: i64) -> (Tensor, Tensor) {
    // Unpacked once for all tests: that takes longer than most of them.
    static ALL: Mutex<Option<(Tensor, Tensor)>> = Mutex::new(None);
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let all =
        all.get_or_insert_with(|| datasets::mnist().expect("set-up provides the digits").train);
    let images = all.0.narrow(0, 0, n).reshape([-1, 1, 28, 28]) / 255.0;
    (images, all.1.narrow(0, 0, n).copy())
}

/// A net like the lesson's with these numbers of filters.
fn net(filters: &[i64]) -> Vec<Layer> {
    let pairs = filters
        .iter()
        .flat_map(|&n| [conv2d(n, (3, 3), Relu), max_pooling2d(2, 2)]);
    pairs.chain([flatten(), dense(10, Softmax)]).collect()
}

/// A row's name, parameters, losses and accuracies, and validation scores.
type Metrics = (String, i64, Vec<(f64, f64)>, Vec<Option<Score>>);

/// All that a run determines, without what depends on the clock.
fn metrics(lab: &Comparison) -> Vec<Metrics> {
    let of = |variant: &svertka::Variant| {
        let epochs = || {
            variant
                .histories()
                .iter()
                .flat_map(|history| &history.epochs)
        };
        let training = epochs().map(|epoch| (epoch.loss, epoch.accuracy)).collect();
        let validation = epochs().map(|epoch| epoch.validation).collect();
        let name = variant.name.clone();
        (name, variant.parameters, training, validation)
    };
    lab.variants().iter().map(of).collect()
}

#[test]
fn a_run_adds_a_row_and_a_rerun_repeats_it_in_place() {
    let _alone = alone();
    let (images, labels) = digits(320);
    let run = |lab: &mut Comparison, name: &str, filters: &[i64], epochs| {
        lab.run(name, net(filters), &images, &labels, silent(epochs))
            .unwrap();
    };
    let mut lab = Comparison::new();
    run(&mut lab, "first", &[4], 2);
    run(&mut lab, "second", &[2], 2);
    let before = metrics(&lab);
    assert_eq!(before.len(), 2);
    run(&mut lab, "first", &[4], 2);
    assert!(metrics(&lab) == before, "{before:?} {:?}", metrics(&lab));
    run(&mut lab, "first", &[3], 1);
    let names: Vec<_> = lab.variants().iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!(lab.variants()[0].history().epochs.len(), 1);
    let parameters = |name| lab.model(name).unwrap().summary().unwrap().total;
    assert_eq!(parameters("first"), lab.variants()[0].parameters);
    assert_eq!(parameters("second"), lab.variants()[1].parameters);

    let mut other = Comparison::new().seed(2);
    run(&mut other, "first", &[4], 2);
    assert!(metrics(&other)[0] != before[0]);
}

#[test]
fn a_row_holds_what_a_training_by_hand_gives() {
    let _alone = alone();
    let (images, labels) = digits(320);
    let fit = || silent(2).fraction(0.5).batch_size(16);
    let mut lab = Comparison::new().seed(5);
    lab.run("by lab", net(&[4]), &images, &labels, fit())
        .unwrap();
    seed(5);
    let mut model = Sequential::new(net(&[4]));
    model.compile(Adam::default(), SparseCategoricalCrossentropy);
    let by_hand = fit().validation_split(0.1);
    let history = model.fit(&images, &labels, by_hand).unwrap();
    let kept_back = (images.narrow(0, 288, 32), labels.narrow(0, 288, 32));
    let score = model.evaluate(&kept_back.0, &kept_back.1).unwrap();
    let row = &lab.variants()[0];
    assert_eq!(row.validation_accuracy(), score.accuracy);
    assert_eq!(row.train_accuracy(), history.epochs[1].accuracy);
    assert_eq!(row.parameters, model.summary().unwrap().total);
    assert_eq!(
        (row.fraction, row.batch_size, row.validation_images),
        (0.5, 16, 32)
    );
    let kept = lab.model("by lab").unwrap();
    assert_eq!(kept.evaluate(&kept_back.0, &kept_back.1).unwrap(), score);

    let table = lab.to_string();
    let accuracy = format!("{:.1}", score.accuracy * 100.0);
    for text in [
        "by lab",
        "conv 4 · pool · dense 10",
        "6,810",
        &accuracy,
        "—",
    ] {
        assert!(table.contains(text), "{text} in\n{table}");
    }
}

#[test]
fn validation_data_of_the_learners_own_are_taken() {
    let _alone = alone();
    let (images, labels) = digits(164);
    let [train, validation] = [(0, 64), (64, 100)]
        .map(|(start, n)| (images.narrow(0, start, n), labels.narrow(0, start, n)));
    let fit = silent(1).validation(&validation.0, &validation.1);
    let mut lab = Comparison::new();
    lab.run("x", net(&[4]), &train.0, &train.1, fit).unwrap();
    let score = lab
        .model("x")
        .unwrap()
        .evaluate(&validation.0, &validation.1)
        .unwrap();
    let row = &lab.variants()[0];
    assert_eq!(row.validation_images, 100);
    assert_eq!(row.validation_accuracy(), score.accuracy);
}

#[test]
fn seeds_give_a_median_and_its_spread() {
    let _alone = alone();
    let (images, labels) = digits(600);
    let run = |lab: &mut Comparison| {
        let fit = silent(2).callback(EarlyStopping::patience(5));
        lab.run("x", net(&[4]), &images, &labels, fit).unwrap();
    };
    let mut lab = Comparison::new().seed(3).seeds(3);
    run(&mut lab);
    let mut alone: Vec<f64> = [3, 4, 5]
        .map(|seed| {
            let mut lab = Comparison::new().seed(seed);
            run(&mut lab);
            lab.variants()[0].validation_accuracy()
        })
        .to_vec();
    alone.sort_by(f64::total_cmp);
    let row = &lab.variants()[0];
    assert_eq!(row.histories().len(), 3);
    assert_eq!(row.validation_accuracy(), alone[1]);
    assert_eq!(row.spread(), (alone[0], alone[2]));
    let kept_back = (images.narrow(0, 540, 60), labels.narrow(0, 540, 60));
    let score = lab
        .model("x")
        .unwrap()
        .evaluate(&kept_back.0, &kept_back.1)
        .unwrap();
    assert_eq!(score.accuracy, alone[1]);
    let [low, median, high] = [0, 1, 2].map(|i| format!("{:.1}", alone[i] * 100.0));
    let shown = format!("{median} ({low}–{high})");
    assert!(lab.to_string().contains(&shown), "{shown} in\n{lab}");
}

#[test]
fn seeds_go_on_behind_the_largest() {
    let _alone = alone();
    let (images, labels) = digits(40);
    let mut lab = Comparison::new().seed(i64::MAX).seeds(2);
    lab.run("x", net(&[2]), &images, &labels, silent(1))
        .unwrap();
    assert_eq!(lab.variants()[0].histories().len(), 2);
}

#[test]
fn a_model_is_asked_for_by_its_rows_name() {
    let _alone = alone();
    let (images, labels) = digits(64);
    let mut lab = Comparison::new();
    let empty = message(lab.model("x"));
    assert!(empty.contains("lab.run("), "{empty}");
    lab.run("a", net(&[2]), &images, &labels, silent(1))
        .unwrap();
    let unknown = message(lab.model("x"));
    assert!(
        unknown.contains('x') && unknown.contains("\"a\""),
        "{unknown}"
    );
}

#[test]
fn an_error_or_an_interrupt_leaves_the_table_as_it_was() {
    let _alone = alone();
    let (images, labels) = digits(64);
    let mut lab = Comparison::new();
    lab.run("good", net(&[2]), &images, &labels, silent(1))
        .unwrap();
    let before = lab.variants().to_vec();
    let mut fails = |name: &str, filters: &[i64], fit| {
        message(lab.run(name, net(filters), &images, &labels, fit))
    };

    let too_deep = fails("good", &[2, 2, 2, 2], silent(1));
    assert!(too_deep.contains("(conv2d_3)"), "{too_deep}");
    let no_epochs = fails("good", &[2], silent(0));
    assert!(no_epochs.contains("epochs(0)"), "{no_epochs}");
    let flat = images.reshape([-1, 28, 28]);
    let shape = fails("new", &[2], silent(1).validation(&flat, &labels));
    assert!(shape.contains("reshape"), "{shape}");

    let fit = silent(3).on_epoch_end(|_| {
        let own = std::process::id().to_string();
        let status = Command::new("sh")
            .args(["-c", "kill -INT $1", "sh", &own])
            .status();
        assert!(status.unwrap().success());
        std::thread::sleep(Duration::from_millis(50));
        ControlFlow::Continue(())
    });
    let interrupted = fails("new", &[2], fit);
    assert!(
        interrupted.contains("new") && interrupted.contains("/3"),
        "{interrupted}"
    );

    for text in [too_deep, no_epochs, shape, interrupted] {
        assert!(!text.contains('\n'), "{text}");
    }
    assert!(lab.variants() == before);
    assert!(lab.model("new").is_err());
}

#[test]
fn the_validation_costs_no_time_and_callbacks_see_it() {
    let _alone = alone();
    // Few images to learn from and many to validate with.
    let (images, labels) = digits(32);
    let many = (images.repeat([125, 1, 1, 1]), labels.repeat([125]));
    let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let notes = seen.clone();
    let fit = silent(3)
        .validation(&many.0, &many.1)
        .on_epoch_end(move |epoch| {
            notes.borrow_mut().push((epoch.seconds, epoch.validation));
            ControlFlow::Continue(())
        });
    let mut lab = Comparison::new();
    let begun = Instant::now();
    lab.run("x", net(&[32]), &images, &labels, fit).unwrap();
    let all = begun.elapsed().as_secs_f64();
    let row = &lab.variants()[0];
    let epochs = &row.history().epochs;
    let trained: f64 = epochs.iter().map(|epoch| epoch.seconds).sum();
    assert!(trained > 0.0 && trained < all / 2.0, "{trained} of {all}");
    let told: Vec<_> = epochs
        .iter()
        .map(|epoch| (epoch.seconds, epoch.validation))
        .collect();
    assert_eq!(*seen.borrow(), told);
    assert!(told.iter().all(|(_, score)| score.is_some()));
    assert_eq!((epochs.len(), row.validation_images), (3, 4000));
}

#[test]
fn weights_that_were_brought_back_are_the_rows() {
    let _alone = alone();
    let (images, labels) = digits(164);
    let schedule = LearningRateSchedule::new(|number, rate| if number > 2 { 5.0 } else { rate });
    let fit = silent(9)
        .validation_split(0.6)
        .callback(schedule)
        .callback(EarlyStopping::patience(2));
    let mut lab = Comparison::new();
    lab.run("x", net(&[4]), &images, &labels, fit).unwrap();
    let row = &lab.variants()[0];
    let history = row.history();
    let kept = history.kept().unwrap();
    assert!(kept.number < history.epochs.len() as i64, "{row:?}");
    assert_eq!(row.validation_accuracy(), kept.validation.unwrap().accuracy);
    assert!(lab.check(Exercise::StopInTime).done);
}

const EXERCISES: [Exercise; 5] = [
    Exercise::Filters,
    Exercise::WithoutLastConvolution,
    Exercise::MoreConvolutions,
    Exercise::OnlyFirstConvolution,
    Exercise::StopInTime,
];

/// Does the exercises as the notebooks do, and prints what the checks say before and after.
#[test]
#[ignore = "run by the tests of both languages"]
fn say_the_findings() {
    let (images, labels) = digits(164);
    let print = |lab: &Comparison| {
        for exercise in EXERCISES {
            println!("@{}", lab.check(exercise));
        }
    };
    print(&Comparison::new());
    let mut lab = Comparison::new();
    let mut run = |name: &str, layers: Vec<Layer>, fit: Fit| {
        lab.run(name, layers, &images, &labels, fit.validation_split(0.6))
            .unwrap();
    };
    run("4-4", net(&[4, 4]), silent(3));
    for name in ["#2", "#3", "#4"] {
        run(name, net(&[4, 4]), silent(3));
    }
    let stood = |_: &Epoch| ControlFlow::Continue(());
    run("#1", net(&[2, 2]), silent(3));
    run("#5", net(&[4, 4]), silent(2).on_epoch_end(stood));
    print(&lab);

    let mut run = |name: &str, layers: Vec<Layer>, fit: Fit| {
        lab.run(name, layers, &images, &labels, fit.validation_split(0.6))
            .unwrap();
    };
    run("#6", net(&[3, 3]), silent(3));
    let mut without = net(&[4, 4]);
    without.remove(2);
    run("#2", without, silent(3));
    let mut more = net(&[4, 4]);
    more.insert(4, conv2d(4, (3, 3), Relu));
    run("#3", more, silent(3));
    run("#4", net(&[4]), silent(3));
    let stop = |epoch: &Epoch| match epoch.number == 2 {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    run("#5", net(&[4, 4]), silent(10).on_epoch_end(stop));
    print(&lab);
    println!("@{lab}");
}

fn findings_in(language: &str, verdicts: [&str; 2]) -> Vec<String> {
    let text = printed_in(language, "say_the_findings");
    let said: Vec<String> = text.split('@').skip(1).map(str::to_string).collect();
    assert_eq!(said.len(), 16, "{text}");
    let [done, not_yet] = verdicts;
    for (i, said) in said[..15].iter().enumerate() {
        let verdict = if i < 10 { not_yet } else { done };
        assert!(said.starts_with(&format!("{verdict}: ")), "{i}: {said}");
    }
    for (said, name) in said[5..10].iter().zip(["#1", "4-4", "4-4", "conv2d", "#5"]) {
        assert!(said.contains(name), "{said}");
    }
    let matching: [&[&str]; 5] = [&["#1", "#6"], &["#2"], &["#3"], &["#4"], &["#5"]];
    for (said, names) in said[10..15].iter().zip(matching) {
        let lines: Vec<&str> = said.trim_end().lines().skip(1).collect();
        assert_eq!(lines.len(), names.len(), "{said}");
        for name in names {
            assert!(lines.iter().any(|line| line.contains(name)), "{said}");
        }
    }
    said
}

#[test]
fn checks_speak_english() {
    let said = findings_in("en", ["Done", "Not yet"]);
    assert!(
        said[10].contains("validation accuracy") && said[10].contains("(±"),
        "{}",
        said[10]
    );
    assert!(
        said[14].contains("stopped after epoch 2 of 10 with loss"),
        "{}",
        said[14]
    );
    assert!(said[15].contains("s per epoch"), "{}", said[15]);
    assert!(!said.concat().contains(|c: char| ('а'..='я').contains(&c)));
}

#[test]
fn checks_speak_russian() {
    let said = findings_in("ru", ["Сделано", "Пока нет"]);
    assert!(
        said[10].contains("точность на валидации") && said[10].contains("(±"),
        "{}",
        said[10]
    );
    assert!(
        said[14].contains("остановлено после эпохи 2 из 10"),
        "{}",
        said[14]
    );
    assert!(said[15].contains("с на эпоху"), "{}", said[15]);
}

#[test]
#[ignore = "run by the test of what is said"]
fn say_what_becomes_of_a_row() {
    let (images, labels) = digits(164);
    let mut lab = Comparison::new();
    for nonsense in [0.83, 830.0, f64::NAN] {
        println!("@{}", lab.predict("a", nonsense).unwrap_err());
    }
    lab.predict("a", 83).unwrap();
    for filters in [4, 4, 2] {
        println!("@");
        lab.run("a", net(&[filters]), &images, &labels, silent(1))
            .unwrap();
    }
}

#[test]
fn a_prediction_and_a_replaced_row_are_told() {
    let text = printed_in("en", "say_what_becomes_of_a_row");
    let said: Vec<&str> = text.split('@').skip(1).map(str::trim_end).collect();
    assert!(said[0].contains("0.83: write 86 for 86 %"), "{text}");
    assert!(said[1].contains("830") && said[2].contains("NaN"), "{text}");
    assert!(
        said[2].ends_with("Predicted for “a”: 83.0 % on the validation data"),
        "{text}"
    );
    // The same layers again are no news.
    assert_eq!(said[3..5], ["", ""], "{text}");
    let replaced = "The row “a” was replaced; it had conv 4";
    assert!(said[5].trim().starts_with(replaced), "{text}");
}

/// Shows a comparison as a cell's end does.
#[test]
#[ignore = "run by the tests of what is shown"]
fn show_as_a_value() {
    let images = |n| Tensor::rand([n, 1, 28, 28], (Kind::Float, Device::Cpu));
    let labels = |n| Tensor::zeros([n], (Kind::Int64, Device::Cpu));
    let mut lab = Comparison::new();
    lab.evcxr_display();
    println!("@");
    lab.run("a < b", net(&[2]), &images(64), &labels(64), silent(2))
        .unwrap();
    println!("@");
    lab.evcxr_display();
    println!("@");
    lab.check(Exercise::OnlyFirstConvolution).evcxr_display();
}

/// What `show_as_a_value` writes: for the empty table, for the table, for a finding.
fn shown(kernel: Option<&str>) -> [String; 3] {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["show_as_a_value", "--exact", "--ignored", "--nocapture"])
        .args(["--test-threads=1", "--quiet"])
        .env("SVERTKA_LANG", "en")
        .env_remove("SVERTKA_KERNEL");
    if let Some(version) = kernel {
        command.env("SVERTKA_KERNEL", version);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let parts: Vec<&str> = text.split("@\n").collect();
    assert_eq!(parts.len(), 4, "{text}");
    [parts[0], parts[2], parts[3]].map(str::to_string)
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
fn one_result_holds_table_and_chart_in_every_kernel() {
    for kernel in [None, Some("1")] {
        let [empty, table, finding] = shown(kernel);
        assert_eq!(count(&empty, "image/png"), 0, "{empty}");
        assert!(empty.contains("lab.run"), "{empty}");
        let contents = ["text/html", "image/png", "text/plain"];
        let found = contents.map(|mime| count(&table, &format!("BEGIN_CONTENT {mime}")));
        assert_eq!(found, [1, 1, 1]);
        assert!(table.contains("a &lt; b"), "{table}");
        let (_, html) = table.split_once("BEGIN_CONTENT text/html").unwrap();
        let chart = html.find("<img alt=\"Validation accuracy").unwrap();
        assert!(html.find("<table>").unwrap() < chart);
        assert!(finding.contains("<b>Not yet</b>"), "{finding}");
    }
}
