//! Hosts: each runs one program, on a runtime and an address of its own.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use volt_sim::fs::Disk;
use volt_sim::net::Resources;
use volt_sim::sync::{Condvar, Mutex, MutexGuard};
use volt_sim::{net, thread};

use super::World;
use crate::signal::SignalKind;
use crate::{Io, Runtime};

/// Workers of a host's runtime unless it is told.
const WORKERS: usize = 2;
const UNPOISONED: &str = "nobody panics with the lock";

impl World {
    /// Sets up a host, which is there from its [`start`](HostBuilder::start) on. Programs of every
    /// host reach it by `name`; upper and lower case are the same.
    ///
    /// # Panics
    /// If programs could not connect to the name: it is empty or an address, or has a colon, a
    /// bracket, a blank or a control character in it.
    ///
    /// ```
    /// use volt::net::{TcpListener, TcpStream};
    /// use volt::sim::Sim;
    ///
    /// Sim::builder().build().run(|world| async move {
    ///     let server = world.host("server").start(|io| async move {
    ///         let listener = TcpListener::bind(&io, "0.0.0.0:80").await?;
    ///         listener.accept().await?.0.write_all(b"welcome").await
    ///     });
    ///     let client = world.host("client").start(|io| async move {
    ///         // The server may not listen yet.
    ///         let stream = loop {
    ///             match TcpStream::connect(&io, "server:80").await {
    ///                 Ok(stream) => break stream,
    ///                 Err(_) => volt::task::yield_now().await,
    ///             }
    ///         };
    ///         let mut bytes = [0; 7];
    ///         stream.read_exact(&mut bytes).await.map(|_| bytes)
    ///     });
    ///     assert_eq!(&client.await.unwrap().unwrap(), b"welcome");
    ///     server.await.unwrap().unwrap();
    /// }).unwrap();
    /// ```
    #[track_caller]
    pub fn host(&self, name: impl Into<String>) -> HostBuilder {
        let name = name.into();
        let is_refused = |character: char| {
            ":[]".contains(character) || character.is_whitespace() || character.is_control()
        };
        let is_address = name.parse::<IpAddr>().is_ok();
        assert!(
            !name.is_empty() && !name.contains(is_refused) && !is_address,
            "{name:?} cannot be the name of a host: nobody could connect to \"{name}:80\""
        );
        HostBuilder { world: self.clone(), name, workers: WORKERS, address: None }
    }
}

/// Sets up a host of a simulated world: see [`World::host`].
///
/// ```
/// use volt::sim::Sim;
///
/// Sim::builder().build().run(|world| async move {
///     let address = "10.1.0.1".parse().unwrap();
///     let host = world.host("server").workers(1).address(address).start(|_| async {});
///     assert_eq!(host.address(), address);
/// }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "a host is not there until `start`"]
pub struct HostBuilder {
    world: World,
    name: String,
    workers: usize,
    address: Option<IpAddr>,
}

impl HostBuilder {
    /// How many workers the host's runtime has; 2 unless set. 0 is as many as the simulated
    /// machine runs threads at once, as in [`Builder::workers`](crate::Builder::workers).
    pub fn workers(mut self, workers: usize) -> HostBuilder {
        self.workers = workers;
        self
    }

    /// The host's address; unless set, the next free one of 10.0.0.1, 10.0.0.2, ...
    pub fn address(mut self, address: IpAddr) -> HostBuilder {
        self.address = Some(address);
        self
    }

    /// Adds the host to the world and starts its program: a thread of the host builds a runtime,
    /// runs the future that `program` returns to its end, and shuts the runtime down. What the
    /// program calls, and every thread that it starts, is on this host.
    ///
    /// # Panics
    /// If the name or the address is taken, or the address cannot be a host's: a wildcard,
    /// loopback or multicast. Taken from the beginning are the names `localhost`, and `world`,
    /// which is the host of the world's own future.
    ///
    /// ```
    /// use volt::sim::Sim;
    ///
    /// Sim::builder().build().run(|world| async move {
    ///     let host = world.host("adder").start(|io| async move {
    ///         io.spawn(async { 1 + 2 }).await.unwrap()
    ///     });
    ///     assert_eq!(host.await, Ok(3));
    /// }).unwrap();
    /// ```
    #[track_caller]
    pub fn start<F, Fut>(self, program: F) -> Host<Fut::Output>
    where
        F: FnOnce(Io) -> Fut + Send + 'static,
        Fut: Future,
        Fut::Output: Send + 'static,
    {
        let HostBuilder { world, name, workers, address } = self;
        let node = match net::add_host(&name, address) {
            Ok(node) => node,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                panic!("a host with the name {name:?} cannot be added: the name is taken")
            }
            Err(error) => panic!("host {name:?} cannot be added: {error}"),
        };
        world.hosts().push(node.clone());
        let progress = Arc::new(Progress::new());
        let of_thread = Arc::clone(&progress);
        let builder = thread::Builder::new().name("main".to_owned());
        let spawned = node.spawn(builder, move || of_thread.serve(&name, workers, program));
        match spawned {
            Ok(thread) => Host { thread: Some(thread), progress, node },
            Err(error) => panic!("host {:?} has no thread: {error}", node.name()),
        }
    }
}

/// A host of a simulated world, and the future of what its program returns.
///
/// A panic of the program is told to whoever awaits the host, as [`HostError::Panicked`]. If
/// nobody has been told when the run ends, the panic fails the run, as that of a thread which
/// nobody joins: a server that fails an assertion is not taken for one that is slow.
///
/// Dropping it leaves the host running. All hosts stop when the world's own future returns.
///
/// Cancel safety: nothing is lost; the host can be awaited again, by reference.
///
/// ```
/// use volt::sim::{Host, HostError, Sim};
///
/// Sim::builder().build().run(|world| async move {
///     let host: Host<()> = world.host("server").start(|_| async { panic!("out of order") });
///     assert_eq!(host.await, Err(HostError::Panicked("out of order".to_owned())));
/// }).unwrap();
/// ```
pub struct Host<T> {
    /// `None` once its result has been given out.
    thread: Option<thread::JoinHandle<T>>,
    progress: Arc<Progress>,
    node: net::Host,
}

impl<T> Host<T> {
    /// A handle to the host's runtime. Stops the calling simulated thread until the runtime is up.
    ///
    /// Tasks that are spawned with it run on this host. What else is done with it belongs to the
    /// host of the thread that does it: connect and listen from a task.
    ///
    /// # Panics
    /// If the runtime could not be started.
    ///
    /// ```
    /// use volt::sim::Sim;
    ///
    /// Sim::builder().build().run(|world| async move {
    ///     let host = world.host("worker").start(|_| std::future::pending::<()>());
    ///     let task = host.io().spawn(async { 6 * 7 });
    ///     assert_eq!(task.await.unwrap(), 42);
    /// }).unwrap();
    /// ```
    #[track_caller]
    pub fn io(&self) -> Io {
        match self.progress.runtime() {
            Ok(io) => io,
            Err(message) => panic!("{message}"),
        }
    }

    /// Its address.
    ///
    /// ```
    /// use volt::sim::Sim;
    ///
    /// Sim::builder().build().run(|world| async move {
    ///     let [first, second] = ["a", "b"].map(|name| world.host(name).start(|_| async {}));
    ///     assert_ne!(first.address(), second.address());
    /// }).unwrap();
    /// ```
    pub fn address(&self) -> IpAddr {
        self.node.address()
    }

    /// Its disk: what goes wrong with it, and when, is for the test to say. It is there after the
    /// program has ended, too.
    ///
    /// ```
    /// use volt::sim::Sim;
    ///
    /// Sim::builder().build().run(|world| async move {
    ///     let mut host = world.host("server").start(|io| async move {
    ///         volt::fs::write(&io, "/log", "begun").await.unwrap();
    ///     });
    ///     (&mut host).await.unwrap();
    ///     assert_eq!(host.disk().used(), 5);
    ///     host.disk().crash();
    /// }).unwrap();
    /// ```
    #[track_caller]
    pub fn disk(&self) -> Disk {
        Disk::of(&self.node)
    }

    /// What its operating system has to give: descriptors, and memory for buffers. They may run
    /// out, if the test says so.
    ///
    /// ```
    /// use volt::net::UdpSocket;
    /// use volt::sim::Sim;
    ///
    /// Sim::builder().build().run(|world| async move {
    ///     let host = world.host("server").start(|_| std::future::pending::<()>());
    ///     let io = host.io();
    ///     host.resources().set_descriptor_limit(Some(host.resources().descriptors()));
    ///     let binding = host.io().spawn(async move { UdpSocket::bind(&io, "0.0.0.0:53").await });
    ///     assert!(binding.await.unwrap().is_err());
    /// }).unwrap();
    /// ```
    #[track_caller]
    pub fn resources(&self) -> Resources {
        Resources::of(&self.node)
    }

    /// Sends a signal to the programs of this host; how many receivers hear it. A program that does
    /// not listen goes on, though a real one might end: by the answer a test can tell.
    ///
    /// ```
    /// use volt::shutdown::Shutdown;
    /// use volt::sim::Sim;
    /// use volt::signal::SignalKind;
    ///
    /// Sim::builder().build().run(|world| async move {
    ///     let host = world.host("server").start(|io| async move {
    ///         let shutdown = Shutdown::new(&io).with_signals().unwrap();
    ///         shutdown.triggered().await;
    ///         shutdown.signal()
    ///     });
    ///     // The program may not listen yet.
    ///     while host.signal(SignalKind::Terminate) == 0 {
    ///         volt::task::yield_now().await;
    ///     }
    ///     assert_eq!(host.await.unwrap(), Some(SignalKind::Terminate));
    /// }).unwrap();
    /// ```
    #[track_caller]
    pub fn signal(&self, kind: SignalKind) -> usize {
        self.node.signal(kind as u32)
    }

    /// Its name.
    ///
    /// ```
    /// use volt::sim::Sim;
    ///
    /// Sim::builder().build().run(|world| async move {
    ///     assert_eq!(world.host("server").start(|_| async {}).name(), "server");
    /// }).unwrap();
    /// ```
    pub fn name(&self) -> &str {
        self.node.name()
    }
}

// What the program returns is moved out of the thread, never pinned in here.
impl<T> Unpin for Host<T> {}

impl<T> Future for Host<T> {
    type Output = Result<T, HostError>;

    /// # Panics
    /// If it has returned `Ready` before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.progress.poll_ended(context) {
            return Poll::Pending;
        }
        let thread = self.thread.take();
        let thread = thread.expect("a `Host` is polled after it gave its output");
        // The thread is on its way out, so this wait is short; it counts as having looked at the
        // panic, if there was one.
        Poll::Ready(thread.join().map_err(|payload| HostError::Panicked(text(payload))))
    }
}

impl<T> fmt::Debug for Host<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("name", &self.name())
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

/// Why the program of a host returned nothing.
///
/// ```
/// use volt::sim::HostError;
///
/// let error = HostError::Panicked("out of order".to_owned());
/// assert_eq!(error.to_string(), "the host's program panicked: out of order");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostError {
    /// It panicked, with this message; or its runtime could not be started, which the message
    /// says.
    Panicked(String),
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostError::Panicked(message) => write!(f, "the host's program panicked: {message}"),
        }
    }
}

impl Error for HostError {}

/// The text of a panic's payload.
fn text(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => (*text).to_owned(),
            Err(_) => "a value that is no text".to_owned(),
        },
    }
}

/// How far the thread of a host has come.
struct Progress {
    state: Mutex<State>,
    runtime_known: Condvar,
}

#[derive(Default)]
struct State {
    /// The runtime's handle or why there is none, once that is known.
    runtime: Option<Result<Io, String>>,
    /// The runtime is shut down; the thread does nothing more than return.
    ended: bool,
    /// Whoever waits for that.
    waker: Option<Waker>,
}

impl Progress {
    fn new() -> Progress {
        Progress { state: Mutex::new(State::default()), runtime_known: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(UNPOISONED)
    }

    /// The body of the host's thread.
    fn serve<F, Fut>(&self, name: &str, workers: usize, program: F) -> Fut::Output
    where
        F: FnOnce(Io) -> Fut,
        Fut: Future,
    {
        let runtime = match Runtime::builder().workers(workers).build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let message = format!("the runtime of host {name:?} cannot be started: {error}");
                self.set_runtime(Err(message.clone()));
                self.end();
                panic!("{message}");
            }
        };
        self.set_runtime(Ok(runtime.io()));
        let output = catch_unwind(AssertUnwindSafe(|| runtime.run(program)));
        // Before the panic goes on: tasks that are dropped now may panic themselves.
        drop(runtime);
        self.end();
        match output {
            Ok(output) => output,
            Err(payload) => resume_unwind(payload),
        }
    }

    fn set_runtime(&self, runtime: Result<Io, String>) {
        self.lock().runtime = Some(runtime);
        self.runtime_known.notify_all();
    }

    /// Waits until it is known, and gives the runtime's handle, or why there is none.
    fn runtime(&self) -> Result<Io, String> {
        let mut state = self.lock();
        loop {
            if let Some(runtime) = &state.runtime {
                return runtime.clone();
            }
            state = self.runtime_known.wait(state).expect(UNPOISONED);
        }
    }

    fn end(&self) {
        let waker = {
            let mut state = self.lock();
            state.ended = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether the thread has nothing left to do; if not, the waker is called once that is so.
    fn poll_ended(&self, context: &mut Context<'_>) -> bool {
        let waker = context.waker().clone();
        let (ended, unused) = {
            let mut state = self.lock();
            match state.ended {
                true => (true, Some(waker)),
                false => (false, state.waker.replace(waker)),
            }
        };
        // Not under the lock: dropping the last waker of a task drops the task.
        drop(unused);
        ended
    }
}
