//! Waiting for the first of several: what the others had begun is undone, and nothing is lost.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::harness::{runtime, scenario};
use volt::channel::{self, Select, Selected};
use volt::platform::thread;
use volt::sync::{Barrier, Mutex};
use volt::task::yield_now;
use volt::time::{sleep, timeout};

scenario!(two_channels_and_a_timer, || {
    runtime(2).run(|io| async move {
        let (bounded, firsts) = channel::bounded(1);
        let (unbounded, seconds) = channel::unbounded();
        let senders = [
            io.spawn(async move {
                for number in 0..5 {
                    bounded.send(number).await.unwrap();
                }
            }),
            io.spawn(async move {
                for number in 0..5 {
                    unbounded.send(number).await.unwrap();
                    yield_now().await;
                }
            }),
        ];
        let mut timer = pin!(sleep(&io, Duration::from_millis(1)));
        let mut received: [Vec<u32>; 2] = [Vec::new(), Vec::new()];
        let mut is_open = [true; 2];
        let mut has_fired = false;
        while is_open[0] || is_open[1] || !has_fired {
            volt::select! {
                message = firsts.recv(), if is_open[0] => match message {
                    Ok(number) => received[0].push(number),
                    Err(_) => is_open[0] = false,
                },
                message = seconds.recv(), if is_open[1] => match message {
                    Ok(number) => received[1].push(number),
                    Err(_) => is_open[1] = false,
                },
                () = timer.as_mut(), if !has_fired => has_fired = true,
            }
        }
        for sender in senders {
            sender.await.unwrap();
        }
        assert_eq!(received, [[0, 1, 2, 3, 4]; 2]);
    });
});

scenario!(two_tasks_select_from_the_same_channels, || {
    runtime(3).run(|io| async move {
        let (first, firsts) = channel::bounded(1);
        let (second, seconds) = channel::bounded(1);
        let receivers = [(); 2].map(|()| {
            let (firsts, seconds) = (firsts.clone(), seconds.clone());
            io.spawn(async move {
                let mut received: Vec<u32> = Vec::new();
                let mut is_open = [true; 2];
                while is_open[0] || is_open[1] {
                    let (end, message) = volt::select! {
                        message = firsts.recv(), if is_open[0] => (0, message),
                        message = seconds.recv(), if is_open[1] => (1, message),
                    };
                    match message {
                        Ok(number) => received.push(number),
                        Err(_) => is_open[end] = false,
                    }
                }
                received
            })
        });
        drop((firsts, seconds));
        for number in 0..4 {
            first.send(number).await.unwrap();
            second.send(10 + number).await.unwrap();
        }
        drop((first, second));
        let mut all = Vec::new();
        for receiver in receivers {
            all.extend(receiver.await.unwrap());
        }
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 10, 11, 12, 13]);
    });
});

scenario!(a_lock_that_lost_is_not_kept, || {
    runtime(2).run(|io| async move {
        let mutex = Arc::new(Mutex::new(0_u32));
        let tasks = [(); 3].map(|()| {
            let mutex = Arc::clone(&mutex);
            io.spawn(async move {
                let mut locked = 0_u32;
                for _ in 0..4 {
                    volt::select! {
                        mut sum = mutex.lock() => {
                            yield_now().await;
                            *sum += 1;
                            locked += 1;
                        }
                        () = yield_now() => {}
                    }
                }
                locked
            })
        });
        let mut locked = 0_u32;
        for task in tasks {
            locked += task.await.unwrap();
        }
        assert_eq!(mutex.try_lock().as_deref(), Some(&locked));
    });
});

scenario!(an_arrival_that_lost_is_taken_back, || {
    runtime(2).run(|io| async move {
        let barrier = Arc::new(Barrier::new(2));
        let [first, mut second] = [(); 2].map(|()| {
            let barrier = Arc::clone(&barrier);
            io.spawn(async move { barrier.wait().await.is_leader() })
        });
        // It may meet the second before it goes.
        let _ = first.cancel().await;
        volt::select! {
            met = &mut second => {
                met.unwrap();
            }
            met = barrier.wait() => {
                assert_ne!(second.await.unwrap(), met.is_leader());
            }
        }
        assert_eq!(barrier.arrived_count(), 0);
    });
});

scenario!(a_receive_that_is_out_of_time_has_received_nothing, || {
    runtime(2).run(|io| async move {
        let (sender, receiver) = channel::bounded(1);
        let own = io.clone();
        let task = io.spawn(async move {
            for number in 0..4_u32 {
                sleep(&own, Duration::from_millis(2)).await;
                sender.send(number).await.unwrap();
            }
        });
        let mut received = Vec::new();
        loop {
            match timeout(&io, Duration::from_millis(1), receiver.recv()).await {
                Ok(Ok(number)) => received.push(number),
                Ok(Err(_)) => break,
                Err(_) => {}
            }
        }
        task.await.unwrap();
        assert_eq!(received, [0, 1, 2, 3]);
    });
});

scenario!(a_select_completes_all_its_branches, || {
    runtime(2).run(|io| async move {
        let (questions, inbox) = channel::bounded(1);
        let (outbox, answers) = channel::bounded(1);
        let asks = io.spawn(async move {
            for number in 0..3_u32 {
                questions.send(number).await.unwrap();
            }
        });
        let listens = io.spawn(async move {
            let mut heard = Vec::new();
            while let Ok(number) = answers.recv().await {
                heard.push(number);
            }
            heard
        });
        let (mut received, mut sent) = (Vec::new(), Vec::new());
        let mut select = Select::new();
        let receives = select.recv(&inbox);
        let sends = [11, 12, 13].map(|number| select.send(&outbox, number));
        while let Some(selected) = select.wait().await {
            match selected {
                Selected::Received(branch, message) => {
                    assert_eq!(branch, receives);
                    received.extend(message);
                }
                Selected::Sent(branch, result) => {
                    result.unwrap();
                    sent.push(branch);
                }
            }
        }
        drop(select);
        drop(outbox);
        asks.await.unwrap();
        assert_eq!(received, [0, 1, 2]);
        sent.sort_unstable();
        assert_eq!(sent, sends);
        let mut heard = listens.await.unwrap();
        heard.sort_unstable();
        assert_eq!(heard, [11, 12, 13]);
    });
});

scenario!(two_selects_share_their_channels, || {
    runtime(3).run(|io| async move {
        let (first, firsts) = channel::bounded(1);
        let (second, seconds) = channel::bounded(1);
        let receivers = [(); 2].map(|()| {
            let ends = [firsts.clone(), seconds.clone()];
            io.spawn(async move {
                let mut received: Vec<u32> = Vec::new();
                let mut select = Select::new();
                for end in &ends {
                    select.recv(end);
                }
                while let Some(Selected::Received(_, message)) = select.wait().await {
                    received.extend(message);
                }
                received
            })
        });
        drop((firsts, seconds));
        for number in 0..4 {
            first.send(number).await.unwrap();
            second.send(10 + number).await.unwrap();
        }
        drop((first, second));
        let mut all = Vec::new();
        for receiver in receivers {
            all.extend(receiver.await.unwrap());
        }
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 10, 11, 12, 13]);
    });
});

scenario!(a_thread_selects_from_what_tasks_send, || {
    let (first, firsts) = channel::bounded(1);
    let (second, seconds) = channel::unbounded();
    let runtime = runtime(2);
    let outside = thread::spawn("outside", None, move || {
        let mut select = Select::new();
        select.recv(&firsts);
        select.recv(&seconds);
        let mut sum = 0;
        while let Some(Selected::Received(_, message)) = select.blocking_wait() {
            sum += message.unwrap_or(0);
        }
        assert_eq!(sum, 2 * (1 + 2 + 3));
    });
    runtime.run(|io| async move {
        let other = io.spawn(async move {
            for number in 1..=3_u32 {
                second.send(number).await.unwrap();
            }
        });
        for number in 1..=3_u32 {
            first.send(number).await.unwrap();
        }
        other.await.unwrap();
    });
    outside.unwrap().join().unwrap();
});
