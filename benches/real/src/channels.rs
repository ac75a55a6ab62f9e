//! Rows 9 to 15: channels.
//!
//! Rows 9 to 14 run on one pinned thread and never wait. Row 15 runs in tasks, on one CPU and on
//! several.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use volt_bench_harness::{Row, Run, Sample, Spread, Stopwatch, cpus, pin};

use crate::runtimes::{SmolExecutor, on_smol, on_tokio, on_volt};

const OPS: u64 = 100_000;
const BROADCASTS: u64 = 100_000;
const MPMC: u64 = 10_000;
/// Receivers of the broadcast row.
const RECEIVERS: usize = 4;
/// Values that the broadcast channels hold.
const BROADCAST_CAPACITY: usize = 1_024;
/// Producers, and consumers, of the MPMC row.
const SIDES: u64 = 4;
const MPMC_CAPACITY: usize = 1_024;

/// All rows of this file.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![send(), recv(), roundtrip(), oneshot(), broadcast(), watch()];
    for spread in Spread::BOTH {
        let row = Row::new("channel_mpmc", MPMC).variant(spread.name());
        rows.push(match spread.cpus() {
            Ok(cpus) => mpmc(row, &cpus),
            Err(reason) => row.leave_out(reason),
        });
    }
    rows
}

/// Measures `work` on a pinned thread, on what `make` makes for each iteration.
fn fresh<T>(make: impl Fn() -> T + 'static, work: impl Fn(&mut T) + 'static) -> impl FnOnce() -> Run
where
    T: 'static,
{
    move || {
        Box::new(move || {
            if let Some(cpu) = cpus().first() {
                pin(*cpu);
            }
            let mut subject = make();
            let stopwatch = Stopwatch::start();
            work(&mut subject);
            stopwatch.stop()
        })
    }
}

/// The output of a future that is ready at once.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future would wait"),
    }
}

/// Gives `$row` a contender for each bounded channel: `$make` makes it with room for `$capacity`,
/// `$work` is measured.
macro_rules! bounded {
    ($row:expr, $capacity:expr, $prepare:expr, $work:expr) => {
        $row.contender(
            "volt",
            fresh(
                || {
                    let mut ends = volt::channel::bounded::<u64>($capacity);
                    $prepare(&mut ends.0, &mut ends.1);
                    ends
                },
                |ends| $work(&mut ends.0, &mut ends.1),
            ),
        )
        .contender(
            "tokio",
            fresh(
                || {
                    let mut ends = tokio::sync::mpsc::channel::<u64>($capacity);
                    $prepare(&mut ends.0, &mut ends.1);
                    ends
                },
                |ends| $work(&mut ends.0, &mut ends.1),
            ),
        )
        .contender(
            "async-channel",
            fresh(
                || {
                    let mut ends = async_channel::bounded::<u64>($capacity);
                    $prepare(&mut ends.0, &mut ends.1);
                    ends
                },
                |ends| $work(&mut ends.0, &mut ends.1),
            ),
        )
        .contender(
            "flume",
            fresh(
                || {
                    let mut ends = flume::bounded::<u64>($capacity);
                    $prepare(&mut ends.0, &mut ends.1);
                    ends
                },
                |ends| $work(&mut ends.0, &mut ends.1),
            ),
        )
        .contender(
            "kanal",
            fresh(
                || {
                    let mut ends = kanal::bounded_async::<u64>($capacity);
                    $prepare(&mut ends.0, &mut ends.1);
                    ends
                },
                |ends| $work(&mut ends.0, &mut ends.1),
            ),
        )
    };
}

/// What the channels of this file have in common, so that they run the same lines.
trait Send {
    fn put(&mut self, value: u64);
}

trait Receive {
    fn take(&mut self) -> u64;
}

macro_rules! ends {
    ($(
        $sender:ty, $receiver:ty, |$out:ident, $value:ident| $put:expr, |$in:ident| $take:expr;
    )+) => {$(
        impl Send for $sender {
            #[inline]
            fn put(&mut self, $value: u64) {
                let $out = self;
                $put
            }
        }

        impl Receive for $receiver {
            #[inline]
            fn take(&mut self) -> u64 {
                let $in = self;
                $take
            }
        }
    )+};
}

ends! {
    volt::channel::Sender<u64>, volt::channel::Receiver<u64>,
        |end, value| end.try_send(value).expect("there is room"),
        |end| end.try_recv().expect("a message is there");
    tokio::sync::mpsc::Sender<u64>, tokio::sync::mpsc::Receiver<u64>,
        |end, value| end.try_send(value).expect("there is room"),
        |end| end.try_recv().expect("a message is there");
    async_channel::Sender<u64>, async_channel::Receiver<u64>,
        |end, value| end.try_send(value).expect("there is room"),
        |end| end.try_recv().expect("a message is there");
    flume::Sender<u64>, flume::Receiver<u64>,
        |end, value| end.try_send(value).expect("there is room"),
        |end| end.try_recv().expect("a message is there");
    kanal::AsyncSender<u64>, kanal::AsyncReceiver<u64>,
        |end, value| assert!(end.try_send(value).expect("it is open"), "there is room"),
        |end| end.try_recv().expect("it is open").expect("a message is there");
}

fn nothing<S, R>(_: &mut S, _: &mut R) {}

fn fill<R>(sender: &mut impl Send, _: &mut R) {
    for value in 0..OPS {
        sender.put(black_box(value));
    }
}

fn drain<S>(_: &mut S, receiver: &mut impl Receive) {
    for _ in 0..OPS {
        black_box(receiver.take());
    }
}

fn there_and_back(sender: &mut impl Send, receiver: &mut impl Receive) {
    for value in 0..OPS {
        sender.put(black_box(value));
        black_box(receiver.take());
    }
}

fn send() -> Row {
    bounded!(Row::new("channel_send", OPS), OPS as usize, nothing, fill)
}

fn recv() -> Row {
    bounded!(Row::new("channel_recv", OPS), OPS as usize, fill, drain)
}

fn roundtrip() -> Row {
    bounded!(Row::new("channel_roundtrip", OPS), 1, nothing, there_and_back)
}

fn oneshot() -> Row {
    let on_volt = |_: &mut ()| {
        for value in 0..OPS {
            let (sender, receiver) = volt::channel::oneshot();
            sender.send(black_box(value)).expect("the receiver is there");
            black_box(ready(receiver)).expect("it was sent");
        }
    };
    let on_tokio = |_: &mut ()| {
        for value in 0..OPS {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            sender.send(black_box(value)).expect("the receiver is there");
            black_box(ready(receiver)).expect("it was sent");
        }
    };
    Row::new("oneshot", OPS)
        .contender("volt", fresh(|| (), on_volt))
        .contender("tokio", fresh(|| (), on_tokio))
}

fn broadcast() -> Row {
    let volts = || {
        let (sender, receiver) = volt::channel::broadcast(BROADCAST_CAPACITY);
        let others: Vec<_> = (1..RECEIVERS).map(|_| sender.subscribe()).collect();
        (sender, receiver, others)
    };
    let tokios = || {
        let (sender, receiver) = tokio::sync::broadcast::channel(BROADCAST_CAPACITY);
        let others: Vec<_> = (1..RECEIVERS).map(|_| sender.subscribe()).collect();
        (sender, receiver, others)
    };
    Row::new("broadcast", BROADCASTS)
        .contender(
            "volt",
            fresh(volts, |(sender, ..)| {
                for value in 0..BROADCASTS {
                    sender.send(black_box(value)).expect("there are receivers");
                }
            }),
        )
        .contender(
            "tokio",
            fresh(tokios, |(sender, ..)| {
                for value in 0..BROADCASTS {
                    sender.send(black_box(value)).expect("there are receivers");
                }
            }),
        )
}

fn watch() -> Row {
    Row::new("watch", OPS)
        .contender(
            "volt",
            fresh(
                || volt::channel::watch(0),
                |(sender, receiver)| {
                    for value in 0..OPS {
                        sender.send(black_box(value)).expect("there is a receiver");
                        black_box(*receiver.borrow());
                    }
                },
            ),
        )
        .contender(
            "tokio",
            fresh(
                || tokio::sync::watch::channel(0),
                |(sender, receiver)| {
                    for value in 0..OPS {
                        sender.send(black_box(value)).expect("there is a receiver");
                        black_box(*receiver.borrow());
                    }
                },
            ),
        )
}

/// 4 producers and 4 consumers, until the channel is closed and drained.
macro_rules! drained {
    ($channel:expr, $send:ident, $recv:ident,
     |$body:ident| $spawn:expr, |$task:ident| $join:expr) => {{
        let (sender, receiver) = $channel;
        let mut tasks = Vec::with_capacity(2 * SIDES as usize);
        let stopwatch = Stopwatch::start();
        for _ in 0..SIDES {
            let receiver = receiver.clone();
            let $body = async move {
                let mut received = 0_u64;
                while let Ok(value) = receiver.$recv().await {
                    black_box::<u64>(value);
                    received += 1;
                }
                received
            };
            tasks.push($spawn);
            let sender = sender.clone();
            let $body = async move {
                for value in 0..MPMC / SIDES {
                    sender.$send(value).await.expect("there are receivers");
                }
                0
            };
            tasks.push($spawn);
        }
        drop((sender, receiver));
        let mut received = 0;
        for $task in tasks {
            received += $join;
        }
        let sample = stopwatch.stop();
        assert_eq!(received, MPMC, "every message arrives once");
        sample
    }};
}

async fn mpmc_on_volt(io: volt::Io) -> Sample {
    drained!(volt::channel::bounded(MPMC_CAPACITY), send, recv, |body| io.spawn(body), |task| task
        .await
        .expect("the task ends"))
}

async fn mpmc_on_async_channel(executor: SmolExecutor) -> Sample {
    let channel = async_channel::bounded(MPMC_CAPACITY);
    drained!(channel, send, recv, |body| executor.spawn(body), |task| task.await)
}

async fn mpmc_on_flume() -> Sample {
    let channel = flume::bounded(MPMC_CAPACITY);
    drained!(channel, send_async, recv_async, |body| tokio::spawn(body), |task| task
        .await
        .expect("the task ends"))
}

async fn mpmc_on_kanal() -> Sample {
    let channel = kanal::bounded_async(MPMC_CAPACITY);
    drained!(channel, send, recv, |body| tokio::spawn(body), |task| task
        .await
        .expect("the task ends"))
}

/// Each channel runs on the runtime that its users would choose: async-channel is smol's.
fn mpmc(row: Row, on: &[usize]) -> Row {
    let workers = cpus().len();
    row.contender("volt", on_volt(workers, on, mpmc_on_volt))
        .contender("async-channel", on_smol(workers, on, mpmc_on_async_channel))
        .contender("flume", on_tokio(workers, on, mpmc_on_flume))
        .contender("kanal", on_tokio(workers, on, mpmc_on_kanal))
}
