//! Runs the contenders of a row in turn and condenses their samples.

use std::time::Duration;

use crate::allocator::while_counting;
use crate::row::{Effort, Row, Run};
use crate::sample::Sample;

/// What one operation took of the CPU, in a row whose work another process does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CpuTime {
    pub(crate) median_ns: f64,
    pub(crate) min_ns: f64,
}

/// What one contender took for one operation of a row.
#[derive(Clone, Debug)]
pub(crate) struct Measurement {
    pub(crate) contender: String,
    pub(crate) median_ns: f64,
    pub(crate) min_ns: f64,
    pub(crate) cpu: Option<CpuTime>,
    pub(crate) bytes_per_op: f64,
    pub(crate) allocs_per_op: f64,
    pub(crate) ops: u64,
    pub(crate) iterations: usize,
}

impl Measurement {
    /// Condenses the samples of one contender, of which the last one counted allocations.
    fn of(contender: String, ops: u64, samples: &[Sample]) -> Self {
        let per_op = |total: f64| total / ops as f64;
        let sorted = |times: &mut dyn Iterator<Item = Duration>| {
            let mut times: Vec<f64> = times.map(|time| per_op(time.as_nanos() as f64)).collect();
            times.sort_by(f64::total_cmp);
            times
        };
        let times = sorted(&mut samples.iter().map(|sample| sample.elapsed));
        let cpu_times = sorted(&mut samples.iter().filter_map(|sample| sample.cpu));
        let last = samples[samples.len() - 1];
        Self {
            contender,
            median_ns: median(&times),
            min_ns: times[0],
            cpu: (!cpu_times.is_empty())
                .then(|| CpuTime { median_ns: median(&cpu_times), min_ns: cpu_times[0] }),
            bytes_per_op: per_op(last.bytes as f64),
            allocs_per_op: per_op(last.allocations as f64),
            ops,
            iterations: samples.len(),
        }
    }

    pub(crate) fn is_volt(&self) -> bool {
        is_volt(&self.contender)
    }

    /// The median that ratios are taken of: of the CPU time where it is known.
    pub(crate) fn decisive_ns(&self) -> f64 {
        self.cpu.map_or(self.median_ns, |cpu| cpu.median_ns)
    }
}

/// Whether a contender of this name is Volt.
pub(crate) fn is_volt(contender: &str) -> bool {
    contender == "volt" || contender.starts_with("volt-")
}

/// Whether a contender of this name is nobody: what the system asks of everyone.
fn is_floor(contender: &str) -> bool {
    contender == "floor"
}

/// The middle of sorted values; the mean of the middle two if their number is even.
fn median(sorted: &[f64]) -> f64 {
    let upper = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[upper] } else { (sorted[upper - 1] + sorted[upper]) / 2.0 }
}

/// A measured row.
#[derive(Debug)]
pub(crate) struct RowResult {
    pub(crate) row: String,
    pub(crate) measurements: Vec<Measurement>,
    /// Who could not run here, and why.
    pub(crate) absent: Vec<(String, String)>,
}

impl RowResult {
    pub(crate) fn volt(&self) -> impl Iterator<Item = &Measurement> {
        self.measurements.iter().filter(|measurement| measurement.is_volt())
    }

    /// The peers, and the floor.
    pub(crate) fn others(&self) -> impl Iterator<Item = &Measurement> {
        self.measurements.iter().filter(|measurement| !measurement.is_volt())
    }

    /// Volt's best median over the best peer's; below 1 is ahead. `None` if either side is absent.
    pub(crate) fn ratio_to_best(&self) -> Option<f64> {
        let peers = self.others().filter(|measurement| !is_floor(&measurement.contender));
        Some(least_median(self.volt())? / least_median(peers)?)
    }

    /// Volt's best median over tokio's.
    pub(crate) fn ratio_to_tokio(&self) -> Option<f64> {
        let tokio = self.others().filter(|measurement| measurement.contender == "tokio");
        Some(least_median(self.volt())? / least_median(tokio)?)
    }
}

fn least_median<'a>(measurements: impl Iterator<Item = &'a Measurement>) -> Option<f64> {
    measurements.map(Measurement::decisive_ns).min_by(f64::total_cmp)
}

/// A contender at work, and what its iterations took.
struct Measured {
    name: String,
    run: Run,
    samples: Vec<Sample>,
}

/// Runs every contender of the row in turn, again and again: first to warm up, then to measure.
pub(crate) fn measure(row: Row, effort: Effort) -> RowResult {
    let name = row.name().to_owned();
    let ops = row.ops();
    let mut contenders: Vec<Measured> = Vec::new();
    let mut absent = Vec::new();
    for contender in row.into_contenders() {
        match (contender.setup)() {
            Ok(run) => contenders.push(Measured {
                name: contender.name,
                run,
                samples: Vec::with_capacity(effort.measured()),
            }),
            Err(reason) => absent.push((contender.name, reason)),
        }
    }
    for _ in 0..effort.warm_up() {
        for contender in &mut contenders {
            (contender.run)();
        }
    }
    for remaining in (0..effort.measured()).rev() {
        for contender in &mut contenders {
            let sample =
                if remaining == 0 { while_counting(&mut contender.run) } else { (contender.run)() };
            contender.samples.push(sample);
        }
    }
    let measurements = contenders
        .into_iter()
        .map(|contender| Measurement::of(contender.name, ops, &contender.samples))
        .collect();
    RowResult { row: name, measurements, absent }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    pub(crate) fn measurement(contender: &str, median_ns: f64) -> Measurement {
        Measurement {
            contender: contender.to_owned(),
            median_ns,
            min_ns: median_ns / 2.0,
            cpu: None,
            bytes_per_op: 64.0,
            allocs_per_op: 1.5,
            ops: 1000,
            iterations: 10,
        }
    }

    pub(crate) fn result(medians: &[(&str, f64)]) -> RowResult {
        let measurements = medians.iter().map(|&(name, median)| measurement(name, median));
        RowResult {
            row: "spawn".to_owned(),
            measurements: measurements.collect(),
            absent: Vec::new(),
        }
    }

    fn sample(nanos: u64, bytes: u64, allocations: u64) -> Sample {
        Sample { elapsed: Duration::from_nanos(nanos), cpu: None, bytes, allocations }
    }

    #[test]
    fn an_even_number_of_values_has_its_median_between_the_middle_two() {
        assert_eq!(median(&[1.0, 2.0, 4.0, 100.0]), 3.0);
        assert_eq!(median(&[1.0, 2.0, 100.0]), 2.0);
    }

    #[test]
    fn samples_are_condensed_per_operation() {
        let samples = [sample(300, 0, 0), sample(100, 0, 0), sample(200, 640, 20)];
        let measured = Measurement::of("volt".to_owned(), 10, &samples);
        assert_eq!(measured.median_ns, 20.0);
        assert_eq!(measured.min_ns, 10.0);
        assert_eq!(measured.bytes_per_op, 64.0);
        assert_eq!(measured.allocs_per_op, 2.0);
        assert_eq!(measured.iterations, 3);
    }

    #[test]
    fn ratios_compare_volts_best_with_the_best_peer_and_with_tokio() {
        let medians = [("volt-epoll", 30.0), ("volt-io_uring", 20.0), ("tokio", 40.0)];
        assert_eq!(result(&medians).ratio_to_best(), Some(0.5));
        assert_eq!(result(&medians).ratio_to_tokio(), Some(0.5));
        let slower = result(&[("volt", 20.0), ("tokio", 40.0), ("smol", 10.0)]);
        assert_eq!(slower.ratio_to_best(), Some(2.0));
        assert_eq!(slower.ratio_to_tokio(), Some(0.5));
    }

    #[test]
    fn without_volt_or_without_peers_there_is_no_ratio() {
        assert_eq!(result(&[("volt", 20.0)]).ratio_to_best(), None);
        assert_eq!(result(&[("smol", 20.0)]).ratio_to_best(), None);
        assert_eq!(result(&[("volt", 20.0), ("smol", 20.0)]).ratio_to_tokio(), None);
    }

    #[test]
    fn cpu_time_decides_where_it_is_known() {
        let with_cpu =
            |elapsed, cpu| Sample { cpu: Some(Duration::from_nanos(cpu)), ..sample(elapsed, 0, 0) };
        let volt = [with_cpu(300, 20), with_cpu(100, 10), with_cpu(200, 30)];
        let volt = Measurement::of("volt-epoll".to_owned(), 10, &volt);
        assert_eq!(volt.median_ns, 20.0);
        assert_eq!(volt.cpu, Some(CpuTime { median_ns: 2.0, min_ns: 1.0 }));
        let tokio = Measurement::of("tokio".to_owned(), 10, &[with_cpu(50, 40)]);
        let mut result = result(&[]);
        result.measurements = vec![volt, tokio];
        assert_eq!(result.ratio_to_tokio(), Some(0.5));
        assert_eq!(result.ratio_to_best(), Some(0.5));
    }

    #[test]
    fn the_floor_is_no_peer() {
        let medians = [("volt", 20.0), ("tokio", 40.0), ("floor", 10.0)];
        assert_eq!(result(&medians).ratio_to_best(), Some(0.5));
        assert_eq!(result(&medians[..1]).ratio_to_best(), None);
    }

    #[test]
    fn who_cannot_run_is_absent_with_the_reason() {
        let row = Row::new("echo", 1)
            .timed("volt-epoll", || ())
            .contender_if_able("volt-io_uring", || Err("there is no io_uring".to_owned()));
        let measured = measure(row, Effort::Quick);
        assert_eq!(measured.measurements.len(), 1);
        let absent = ("volt-io_uring".to_owned(), "there is no io_uring".to_owned());
        assert_eq!(measured.absent, [absent]);
    }

    #[test]
    fn a_name_that_merely_begins_like_volt_is_a_peer() {
        assert!(is_volt("volt") && is_volt("volt-epoll"));
        assert!(!is_volt("voltaire"));
    }

    #[test]
    fn contenders_take_turns() {
        let turns = Rc::new(RefCell::new(String::new()));
        let turn = |letter: char| {
            let turns = Rc::clone(&turns);
            move || turns.borrow_mut().push(letter)
        };
        let row = Row::new("turns", 1).timed("volt", turn('A')).timed("tokio", turn('B'));
        let measured = measure(row, Effort::Quick);
        assert_eq!(*turns.borrow(), "AB".repeat(6));
        assert!(measured.measurements.iter().all(|each| each.iterations == 5));
    }

    #[test]
    fn the_last_iteration_counts_allocations() {
        let allocate = || drop(std::hint::black_box(vec![0_u8; 4096]));
        let measured = measure(Row::new("allocate", 1).timed("volt", allocate), Effort::Quick);
        assert!(measured.measurements[0].bytes_per_op >= 4096.0);
        assert!(measured.measurements[0].allocs_per_op >= 1.0);
    }
}
