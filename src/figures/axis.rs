//! Ticks and numbers along an axis.

/// The steps between ticks: 1, 2 or 5 times a power of ten.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];

/// The smallest step of 1, 2, 5, 10, 20 … that puts fewer than `limit` steps into `count` whole positions.
pub(crate) fn whole_step(count: usize, limit: usize) -> usize {
    (0..)
        .flat_map(|power| STEPS.map(|step| step as usize * 10usize.pow(power)))
        .find(|step| count < step * limit)
        .unwrap_or(1)
}

/// Round numbers that cover `low..=high`, about `count` steps of them; the first is at or below `low`, the last at or
/// above `high`. Each with its text, which has as many decimals as tell neighbours apart.
pub(crate) fn round_ticks(low: f64, high: f64, count: usize) -> Vec<(f64, String)> {
    let span = (high - low).max(low.abs().max(high.abs()) * 1e-3).max(1e-6);
    let raw = span / count as f64;
    let power = 10f64.powf(raw.log10().floor());
    let step = STEPS
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= raw * 0.999)
        .unwrap_or(10.0 * power);
    let first = (low / step + 1e-9).floor();
    let last = (high / step - 1e-9).ceil().max(first + 1.0);
    let decimals = (-step.log10() - 1e-9).ceil().clamp(0.0, 9.0) as usize;
    let ticks = (0..=(last - first) as usize).map(|i| (first + i as f64) * step);
    let ticks = ticks.map(|tick| (tick, format!("{tick:.decimals$}")));
    ticks.collect()
}

/// A number with about three digits, for small print: `0`, `1.84`, `12.3`, `0.031`, `4.2e-5`.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".into();
    }
    if !(0.001..100_000.0).contains(&size) {
        return format!("{value:.1e}");
    }
    let decimals = match size {
        100.0.. => 0,
        10.0.. => 1,
        0.1.. => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_steps_are_matplotlibs() {
        for (count, step) in [(26, 5), (13, 5), (11, 2), (5, 1), (28, 5), (64, 20), (1, 1)] {
            assert_eq!(whole_step(count, 6), step, "{count} pixels");
        }
    }

    #[test]
    fn round_ticks_cover_the_values() {
        let numbers = |low, high| {
            let ticks = round_ticks(low, high, 5).into_iter();
            ticks.map(|(tick, _)| tick).collect::<Vec<_>>()
        };
        assert_eq!(
            numbers(0.0, 1.0),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        for (low, high) in [
            (0.81, 0.93),
            (0.243, 0.502),
            (3.0, 3.0),
            (0.0, 0.0),
            (1e-7, 2.3),
        ] {
            let ticks = numbers(low, high);
            assert!(
                ticks[0] <= low && ticks[ticks.len() - 1] >= high,
                "{low} {high} {ticks:?}"
            );
            assert!((2..=9).contains(&ticks.len()), "{low} {high} {ticks:?}");
        }
    }

    #[test]
    fn ticks_have_the_decimals_they_need() {
        let texts = |low, high| {
            let ticks = round_ticks(low, high, 2).into_iter();
            ticks.map(|(_, text)| text).collect::<Vec<_>>()
        };
        assert_eq!(texts(0.80, 0.84), ["0.80", "0.82", "0.84"]);
        assert_eq!(texts(0.0, 1.0), ["0.0", "0.5", "1.0"]);
        assert_eq!(texts(0.0, 10.0), ["0", "5", "10"]);
    }

    #[test]
    fn small_print_has_three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (1.8437, "1.84"),
            (12.34, "12.3"),
            (-0.0312, "-0.031"),
            (4.2e-5, "4.2e-5"),
            (1234.0, "1234"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
