//! The kernel's side of Jupyter's protocol.

use std::collections::{HashMap, VecDeque};
use std::process::{Command, Stdio};
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jupyter_protocol::{
    CodeMirrorMode, CommClose, CommInfoReply, CompleteReply, CompleteRequest, ConnectionInfo,
    ErrorOutput, ExecuteInput, ExecuteReply, ExecuteRequest, ExecuteResult, ExecutionCount,
    HistoryReply, InputRequest, InspectReply, InspectRequest, InterruptReply, IoPubWelcome,
    JupyterMessage, JupyterMessageContent as Content, KernelInfoReply, LanguageInfo, Media,
    MediaType, ReplyError, ReplyStatus, ShutdownReply, Status, StreamContent, Transient,
};
use jupyter_zmq_client::{
    Connection, KernelControlConnection, KernelIoPubXPubConnection, KernelShellConnection,
    KernelStdinConnection, SubscriptionEvent, create_kernel_control_connection,
    create_kernel_heartbeat_connection, create_kernel_iopub_xpub_connection,
    create_kernel_shell_connection, create_kernel_stdin_connection,
};
use serde_json::{Map, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use zeromq::{SocketRecv, SocketSend};

use crate::building;
use crate::engine::{Engine, display_text, media};
use crate::folder::{Copy, Folders};
use crate::interrupt::Interrupter;
use crate::language::language;
use crate::report;
use crate::sync::lock;
use crate::syntax::{bytes_before, characters_before, is_complete};

/// The version of the display protocol between the crate and this kernel.
const DISPLAY_PROTOCOL: &str = "1";
/// A client that takes nothing for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a client sent together with a cell may be on its way through the sockets for so long.
const ON_ITS_WAY: Duration = Duration::from_millis(20);
/// Jupyter's server looks every 50 ms whether a kernel is no longer starting; a busy machine may be slower.
const LET_IN: Duration = Duration::from_millis(300);
/// rust-analyzer goes deep on long cells.
const STACK: usize = 256 << 20;

/// Serves one kernel until it is shut down.
pub fn serve(connection: ConnectionInfo, folders: Folders) -> Result<()> {
    // SAFETY: no thread has been started yet.
    unsafe {
        std::env::set_var("SVERTKA_KERNEL", DISPLAY_PROTOCOL);
        // What one of rust-analyzer's threads frees serves the others.
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let running = Arc::new(Running::default());
    let served = runtime.block_on(talk(connection, folders, running.clone()));
    // Whatever runs ends with the kernel, and its folder goes.
    if let Some(interrupter) = running.interrupter.get() {
        interrupter.kill_all();
    }
    drop(lock(&running.folder).take());
    served?;
    // Not by way of `main`: evcxr may still be waiting in its thread.
    std::process::exit(0)
}

/// What must end with the kernel, once it is there.
#[derive(Default)]
struct Running {
    interrupter: OnceLock<Arc<Interrupter>>,
    folder: Mutex<Option<Copy>>,
}

async fn talk(info: ConnectionInfo, folders: Folders, running: Arc<Running>) -> Result<()> {
    let session = format!("svertka-{}", std::process::id());
    let (iopub, shell, control, stdin, mut heartbeat) = tokio::try_join!(
        create_kernel_iopub_xpub_connection(&info, &session),
        create_kernel_shell_connection(&info, &session),
        create_kernel_control_connection(&info, &session),
        create_kernel_stdin_connection(&info, &session),
        create_kernel_heartbeat_connection(&info),
    )
    .context("can't listen on the connection file's ports")?;

    let (publish, published) = unbounded_channel();
    let (ask, asked) = unbounded_channel();
    let (jobs, work) = blocking::channel();
    let (ready, is_ready) = unbounded_channel();
    let publisher = Publisher {
        to: publish,
        current: Arc::default(),
        ask,
        answer: Arc::default(),
    };
    publisher.publish(Status::starting(), None);
    let worker = Worker {
        folders,
        running: running.clone(),
        publisher: publisher.clone(),
        ready,
    };
    std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || worker.work(work))?;
    tokio::spawn(async move { while heartbeat.single_heartbeat().await.is_ok() {} });
    tokio::spawn(publish_all(iopub, published));
    tokio::spawn(ask_all(stdin, asked, publisher.answer.clone()));
    let mut shell = Shell {
        channel: shell,
        waiting: VecDeque::new(),
        aborts: false,
        publisher: publisher.clone(),
        jobs,
        count: ExecutionCount::new(0),
    };
    tokio::spawn(async move { shell.serve(is_ready).await });
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        () = obey(control, publisher, running) => {}
        _ = terminated.recv() => {}
        // Jupyter names itself to the kernels that shall go with it, and to no others.
        () = orphaned(), if std::env::var_os("JPY_PARENT_PID").is_some() => {}
    }
    // The sockets write what they were given by themselves.
    sleep(Duration::from_millis(100)).await;
    Ok(())
}

/// Comes back when the Jupyter that started the kernel is gone without a word, killed or crashed: with its memory the kernel
/// would stay for ever.
async fn orphaned() {
    let parent = std::os::unix::process::parent_id();
    while std::os::unix::process::parent_id() == parent {
        sleep(Duration::from_secs(1)).await;
    }
}

/// The next message. What is none of Jupyter's, or has a wrong signature, is left aside.
async fn read<S: SocketRecv>(channel: &mut Connection<S>) -> JupyterMessage {
    loop {
        match channel.read().await {
            Ok(message) => return message,
            Err(error) => {
                eprintln!("svertka-kernel: a message was ignored: {error}");
                // Should the socket itself have failed, this must not spin.
                sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

async fn reply<S: SocketSend>(
    channel: &mut Connection<S>,
    to: &JupyterMessage,
    content: impl Into<Content>,
) {
    if let Err(error) = channel.send(JupyterMessage::new(content, Some(to))).await {
        eprintln!("svertka-kernel: no reply to {}: {error}", to.message_type());
    }
}

async fn publish_all(
    mut iopub: KernelIoPubXPubConnection,
    mut messages: UnboundedReceiver<JupyterMessage>,
) {
    loop {
        let message = tokio::select! {
            biased;
            event = iopub.recv_subscription() => match event {
                Ok(SubscriptionEvent::Subscribe(topic)) => IoPubWelcome::new(topic).into(),
                _ => continue,
            },
            Some(message) = messages.recv() => message,
        };
        if let Ok(Err(error)) = timeout(PATIENCE, iopub.send(message)).await {
            eprintln!("svertka-kernel: a message was not published: {error}");
        }
    }
}

/// Publishes on iopub and asks on stdin, from any thread.
#[derive(Clone)]
struct Publisher {
    to: UnboundedSender<JupyterMessage>,
    /// The request whose cell runs or ran last: output belongs to it.
    current: Arc<Mutex<Option<JupyterMessage>>>,
    ask: UnboundedSender<JupyterMessage>,
    answer: Answer,
}

impl Publisher {
    fn publish(&self, content: impl Into<Content>, parent: Option<&JupyterMessage>) {
        let _ = self.to.send(JupyterMessage::new(content, parent));
    }

    fn show(&self, content: impl Into<Content>) {
        self.publish(content, lock(&self.current).as_ref());
    }

    /// Asks for a line, and waits for it.
    fn ask(&self, prompt: &str, password: bool) -> String {
        let prompt = prompt.to_owned();
        let request = InputRequest { prompt, password };
        let request = JupyterMessage::new(request, lock(&self.current).as_ref());
        let (answer, answered) = blocking::channel();
        *lock(&self.answer) = Some(answer);
        let _ = self.ask.send(request);
        let line = answered.recv().unwrap_or_default();
        line.replace(['\n', '\r'], " ")
    }
}

/// Where the answer to the last question goes.
type Answer = Arc<Mutex<Option<blocking::Sender<String>>>>;

async fn ask_all(
    mut stdin: KernelStdinConnection,
    mut asked: UnboundedReceiver<JupyterMessage>,
    answer: Answer,
) {
    loop {
        tokio::select! {
            Some(request) = asked.recv() => {
                if stdin.send(request).await.is_err() {
                    // Whoever sent the cell has gone: an empty line is the answer.
                    *lock(&answer) = None;
                }
            }
            message = read(&mut stdin) => {
                if let Content::InputReply(reply) = message.content
                    && let Some(answer) = lock(&answer).take()
                {
                    let _ = answer.send(reply.value);
                }
            }
        }
    }
}

/// Work for evcxr's thread, which gets to know why evcxr is not there.
type Job = Box<dyn FnOnce(Result<&mut Engine, ReplyError>) + Send>;

/// evcxr's thread.
struct Worker {
    folders: Folders,
    running: Arc<Running>,
    publisher: Publisher,
    /// Tells that requests can be answered.
    ready: UnboundedSender<()>,
}

impl Worker {
    fn work(self, jobs: blocking::Receiver<Job>) {
        // A kernel that says why it can't work helps more than one that dies.
        let mut engine = self.start().map_err(|error| {
            eprintln!("svertka-kernel: {error:#}");
            report::failure("kernel", &format!("{error:#}"))
        });
        let _ = self.ready.send(());
        for job in jobs {
            job(engine.as_mut().map_err(|failure| failure.clone()));
        }
    }

    /// Starts evcxr in a copy of the warmed folder, which is warmed anew first where it no longer fits.
    fn start(&self) -> Result<Engine> {
        if !self.folders.is_warm()? {
            // This takes minutes, which Jupyter would not wait for: the first cell does, and tells.
            let _ = self.ready.send(());
            self.warm()?;
        }
        let copy = self.folders.copy()?;
        let path = copy.path.clone();
        *lock(&self.running.folder) = Some(copy);
        let publisher = self.publisher.clone();
        let sink = Arc::new(move |shown| publisher.show(shown));
        let mut engine = Engine::start(&path, &self.folders.project, sink)?;
        let _ = self.running.interrupter.set(engine.interrupter.clone());
        if let Err(error) = engine.preload() {
            eprintln!("svertka-kernel: the crate is not preloaded: {error:#}");
        }
        // SAFETY: it only gives back to the system what is free.
        unsafe { libc::malloc_trim(0) };
        Ok(engine)
    }

    /// Has the folder warmed by a process of its own, and tells the cell that waits how far it is.
    fn warm(&self) -> Result<()> {
        let mut warming = Command::new(std::env::current_exe()?);
        warming.arg("--warm").stdout(Stdio::null());
        let why = language(
            "Rust or svertka has changed since set-up: the crate is compiled anew, about 3 minutes, once.",
            "Rust или svertka изменились после установки: крейт компилируется заново, около 3 минут, один раз.",
        );
        let (end, ended) = crossbeam_channel::bounded(0);
        let output = std::thread::scope(|scope| {
            scope.spawn(move || {
                building::watch(&self.folders.warm(), &ended, |text, again| {
                    let waits = lock(&self.publisher.current).is_some();
                    if waits {
                        let text = format!("{why} {text}");
                        self.publisher
                            .show(display_text("svertka-warming", &text, again));
                    }
                    waits
                });
            });
            let output = warming.output();
            drop(end);
            output
        })?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

/// The shell channel: one request after the other.
struct Shell {
    channel: KernelShellConnection,
    /// Requests that were read before it was their turn.
    waiting: VecDeque<JupyterMessage>,
    /// A cell has failed: those that wait will not run.
    aborts: bool,
    publisher: Publisher,
    jobs: blocking::Sender<Job>,
    count: ExecutionCount,
}

impl Shell {
    async fn serve(&mut self, is_ready: UnboundedReceiver<()>) {
        self.wait_until(is_ready).await;
        loop {
            let request = match self.waiting.pop_front() {
                Some(request) => request,
                None => {
                    self.aborts = false;
                    read(&mut self.channel).await
                }
            };
            self.handle(&request).await;
        }
    }

    /// While evcxr starts, Jupyter only gets to know what kernel this is: it then shows that it is starting. All else waits.
    async fn wait_until(&mut self, mut is_ready: UnboundedReceiver<()>) {
        let mut say_starting = None;
        loop {
            let then = say_starting.unwrap_or_else(Instant::now);
            let request = tokio::select! {
                _ = is_ready.recv() => break,
                request = read(&mut self.channel) => request,
                () = sleep_until(then), if say_starting.is_some() => {
                    say_starting = None;
                    self.publisher.publish(Status::starting(), None);
                    continue;
                }
            };
            if matches!(request.content, Content::KernelInfoRequest(_)) {
                self.handle(&request).await;
                // Later: Jupyter's server lets JupyterLab in only when it has seen something else than "starting".
                say_starting = Some(Instant::now() + LET_IN);
            } else {
                self.waiting.push_back(request);
            }
        }
        self.publisher.publish(Status::idle(), None);
    }

    async fn handle(&mut self, request: &JupyterMessage) {
        self.publisher.publish(Status::busy(), Some(request));
        if let Some(content) = self.answer(request).await {
            reply(&mut self.channel, request, content).await;
        }
        self.publisher.publish(Status::idle(), Some(request));
    }

    /// What there is to reply to a request.
    async fn answer(&mut self, request: &JupyterMessage) -> Option<Content> {
        Some(match &request.content {
            Content::ExecuteRequest(_) if self.aborts => Content::from(ExecuteReply {
                status: ReplyStatus::Aborted,
                execution_count: self.count,
                ..ExecuteReply::default()
            }),
            Content::ExecuteRequest(cell) => self.execute(request, cell).await.into(),
            Content::KernelInfoRequest(_) => kernel_info().into(),
            Content::CompleteRequest(at) => self.complete(at).await.into(),
            Content::InspectRequest(at) => self.inspect(at).await.into(),
            Content::IsCompleteRequest(code) => is_complete(&code.code).into(),
            // Nothing is kept from session to session; within one, consoles remember by themselves.
            Content::HistoryRequest(_) => HistoryReply::default().into(),
            Content::CommInfoRequest(_) => CommInfoReply::default().into(),
            Content::CommOpen(opened) => {
                let close = CommClose {
                    comm_id: opened.comm_id.clone(),
                    data: Map::new(),
                };
                self.publisher.publish(close, Some(request));
                return None;
            }
            _ => return None,
        })
    }

    /// Has evcxr's thread do something. Returns what comes of it, or why evcxr is not there.
    async fn engine<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> T + Send + 'static,
    ) -> Result<T, ReplyError> {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move |engine| {
            let _ = done.send(engine.map(work));
        });
        let _ = self.jobs.send(job);
        let ended = |_| Err(report::failure("kernel", "evcxr's thread has ended"));
        result.await.unwrap_or_else(ended)
    }

    async fn execute(&mut self, request: &JupyterMessage, cell: &ExecuteRequest) -> ExecuteReply {
        if !cell.silent && cell.store_history {
            self.count.increment();
        }
        let execution_count = self.count;
        *lock(&self.publisher.current) = Some(request.clone());
        if !cell.silent {
            self.publisher.show(ExecuteInput {
                code: cell.code.clone(),
                execution_count,
            });
        }
        let code = cell.code.clone();
        let (publisher, allow_stdin) = (self.publisher.clone(), cell.allow_stdin);
        let ask = move |prompt: &str, password| {
            if allow_stdin {
                return publisher.ask(prompt, password);
            }
            publisher.show(StreamContent::stderr(language(
                "This client can't be asked for input: the cell reads an empty line.\n",
                "Этот клиент не умеет спрашивать: ячейка читает пустую строку.\n",
            )));
            String::new()
        };
        let run = move |engine: &mut Engine| engine.execute(&code, execution_count.value(), &ask);
        let content = match self.engine(run).await.flatten() {
            Ok(content) => content,
            Err(failure) => return self.fail(failure, cell.stop_on_error).await,
        };
        if !content.is_empty() && !cell.silent {
            self.publisher.show(ExecuteResult {
                // Jupyter's schema allows no null here.
                transient: Some(Transient::default()),
                ..ExecuteResult::new(execution_count, media(content))
            });
        }
        ExecuteReply {
            execution_count,
            user_expressions: Some(HashMap::new()),
            ..ExecuteReply::default()
        }
    }

    async fn fail(&mut self, failure: ReplyError, abort: bool) -> ExecuteReply {
        if abort {
            // What the client sends once it knows of the failure runs.
            let end = Instant::now() + ON_ITS_WAY;
            while let Ok(request) = timeout_at(end, read(&mut self.channel)).await {
                self.waiting.push_back(request);
            }
            self.aborts = true;
        }
        self.publisher.show(ErrorOutput {
            ename: failure.ename.clone(),
            evalue: failure.evalue.clone(),
            traceback: failure.traceback.clone(),
        });
        ExecuteReply {
            status: ReplyStatus::Error,
            execution_count: self.count,
            error: Some(Box::new(failure)),
            ..ExecuteReply::default()
        }
    }

    async fn complete(&mut self, request: &CompleteRequest) -> CompleteReply {
        let code = request.code.clone();
        let at = bytes_before(&code, request.cursor_pos);
        let found = self.engine(move |engine| engine.complete(&code, at)).await;
        let mut reply = CompleteReply {
            cursor_start: request.cursor_pos,
            cursor_end: request.cursor_pos,
            ..CompleteReply::default()
        };
        let Ok(Some(found)) = found else {
            return reply;
        };
        reply.cursor_start = characters_before(&request.code, found.start_offset);
        reply.cursor_end = characters_before(&request.code, found.end_offset);
        let mut types = Vec::new();
        for completion in found.completions {
            if !reply.matches.contains(&completion.code) {
                types.push(json!({"text": completion.code, "type": completion.kind, "start": reply.cursor_start, "end": reply.cursor_end}));
                reply.matches.push(completion.code);
            }
        }
        let name = "_jupyter_types_experimental".to_owned();
        reply.metadata.insert(name, types.into());
        reply
    }

    async fn inspect(&mut self, request: &InspectRequest) -> InspectReply {
        let code = request.code.clone();
        let at = bytes_before(&code, request.cursor_pos);
        // The name that the cursor touches, to its end.
        let more =
            code[at..].find(|character: char| !character.is_alphanumeric() && character != '_');
        let at = more.map_or(code.len(), |more| at + more);
        match self.engine(move |engine| engine.inspect(&code, at)).await {
            Ok(Some((text, html))) => InspectReply {
                found: true,
                data: Media::new(vec![MediaType::Plain(text), MediaType::Html(html)]),
                ..InspectReply::default()
            },
            _ => InspectReply::default(),
        }
    }
}

/// The control channel: what can't wait for a cell to end. Comes back when the kernel is to end.
async fn obey(mut control: KernelControlConnection, publisher: Publisher, running: Arc<Running>) {
    loop {
        let order = read(&mut control).await;
        publisher.publish(Status::busy(), Some(&order));
        match &order.content {
            Content::InterruptRequest(_) => {
                // A cell that waits for a line gets an empty one.
                if lock(&publisher.answer).take().is_none()
                    && let Some(interrupter) = running.interrupter.get()
                    && let Some(text) = interrupter.interrupt()
                {
                    publisher.show(StreamContent::stderr(text));
                }
                reply(&mut control, &order, InterruptReply::default()).await;
            }
            Content::ShutdownRequest(request) => {
                let content = ShutdownReply {
                    restart: request.restart,
                    ..ShutdownReply::default()
                };
                publisher.publish(content.clone(), Some(&order));
                reply(&mut control, &order, content).await;
                publisher.publish(Status::idle(), Some(&order));
                return;
            }
            Content::KernelInfoRequest(_) => reply(&mut control, &order, kernel_info()).await,
            _ => {}
        }
        publisher.publish(Status::idle(), Some(&order));
    }
}

fn kernel_info() -> KernelInfoReply {
    KernelInfoReply {
        status: ReplyStatus::Ok,
        protocol_version: "5.4".to_owned(),
        implementation: "svertka-kernel".to_owned(),
        implementation_version: env!("CARGO_PKG_VERSION").to_owned(),
        language_info: LanguageInfo {
            name: "rust".to_owned(),
            version: "2024".to_owned(),
            mimetype: Some("text/rust".to_owned()),
            file_extension: Some(".rs".to_owned()),
            pygments_lexer: Some("rust".to_owned()),
            codemirror_mode: Some(CodeMirrorMode::Simple("rust".to_owned())),
            nbconvert_exporter: None,
        },
        banner: "svertka: Rust in Jupyter, over evcxr".to_owned(),
        help_links: Vec::new(),
        debugger: false,
        error: None,
    }
}
