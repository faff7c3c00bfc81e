//! The kernel's side of Jupyter's protocol.

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use jupyter_protocol::{ConnectionInfo, Header, JupyterMessage, UnknownMessage};
use jupyter_zmq_client::{
    Connection, KernelIoPubXPubConnection, RawMessage, RouterRecvConnection, RouterSendConnection,
    SubscriptionEvent, create_kernel_control_connection, create_kernel_heartbeat_connection,
    create_kernel_iopub_xpub_connection, create_kernel_shell_connection,
    create_kernel_stdin_connection,
};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use zeromq::SocketRecv;

use crate::building;
use crate::engine::{Engine, Event, Outcome, Stream, lock};
use crate::folder::{Copy, Folders};
use crate::interrupt::Interrupter;
use crate::report::{Failure, say};
use crate::syntax::{Completeness, bytes_before, characters_before, completeness};

/// The version of the display protocol between the crate and this kernel.
const DISPLAY_PROTOCOL: &str = "1";
/// A client that takes nothing for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// rust-analyzer goes deep on long cells.
const STACK: usize = 256 << 20;

/// Serves one kernel until it is shut down.
pub fn serve(connection: ConnectionInfo, folders: Folders) -> Result<()> {
    // SAFETY: no thread has been started yet.
    unsafe { std::env::set_var("SVERTKA_KERNEL", DISPLAY_PROTOCOL) };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let interrupter = Arc::new(OnceLock::new());
    let folder = Arc::new(Mutex::new(None));
    let served = runtime.block_on(talk(
        connection,
        folders,
        interrupter.clone(),
        folder.clone(),
    ));
    // Whatever runs ends with the kernel, and its folder goes.
    if let Some(interrupter) = interrupter.get() {
        interrupter.kill_all();
    }
    drop(lock(&folder).take());
    match served {
        // Not by way of `main`: evcxr may still be waiting in its thread.
        Ok(()) => std::process::exit(0),
        Err(error) => Err(error),
    }
}

async fn talk(
    connection: ConnectionInfo,
    folders: Folders,
    interrupter: Arc<OnceLock<Arc<Interrupter>>>,
    folder: Arc<Mutex<Option<Copy>>>,
) -> Result<()> {
    let session = format!("svertka-{}", std::process::id());
    let bound = "can't listen on the connection file's ports";
    let iopub = create_kernel_iopub_xpub_connection(&connection, &session)
        .await
        .context(bound)?;
    let (shell_send, shell) = create_kernel_shell_connection(&connection, &session)
        .await
        .context(bound)?
        .split();
    let (control_send, control) = create_kernel_control_connection(&connection, &session)
        .await
        .context(bound)?
        .split();
    let (stdin_send, stdin) = create_kernel_stdin_connection(&connection, &session)
        .await
        .context(bound)?
        .split();
    let mut heartbeat = create_kernel_heartbeat_connection(&connection)
        .await
        .context(bound)?;

    let (publish, published) = unbounded_channel();
    let (asks, asked) = unbounded_channel();
    let (jobs, work) = blocking::channel();
    let (ready, is_ready) = oneshot::channel();
    let current = Arc::new(Mutex::new(None));
    let input = Arc::new(Mutex::new(None));

    tokio::spawn(async move { while heartbeat.single_heartbeat().await.is_ok() {} });
    tokio::spawn(publish_all(iopub, published));
    tokio::spawn(ask_all(stdin_send, asked, input.clone()));
    tokio::spawn(read_input(stdin, input.clone()));
    let publisher = Publisher {
        to: publish,
        current: current.clone(),
        building: Arc::default(),
    };
    publisher.status("starting", None);
    let worker = Worker {
        folders,
        folder,
        publisher: publisher.clone(),
        asks,
        interrupter: interrupter.clone(),
    };
    std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || worker.work(&work, ready))?;

    let (requests, requested) = unbounded_channel();
    tokio::spawn(read_all(shell, requests));
    let (orders, mut ordered) = unbounded_channel();
    tokio::spawn(read_all(control, orders));
    let mut shell = Shell {
        send: shell_send,
        requested,
        waiting: VecDeque::new(),
        publisher: publisher.clone(),
        jobs,
        count: 0,
        history: Vec::new(),
    };
    tokio::spawn(async move {
        // What comes earlier waits: a kernel that answers is a kernel whose first cell is quick.
        let _ = is_ready.await;
        shell.serve().await;
    });

    let mut control = Control {
        send: control_send,
        publisher,
        interrupter,
        input,
    };
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut orphaned = std::pin::pin!(orphaned());
    loop {
        tokio::select! {
            order = ordered.recv() => {
                let order = order.context("the control channel is closed")?;
                if control.obey(order).await {
                    break;
                }
            }
            _ = terminated.recv() => break,
            () = &mut orphaned => break,
        }
    }
    // The sockets write what they were given by themselves.
    tokio::time::sleep(Duration::from_millis(100)).await;
    Ok(())
}

/// Comes back when the Jupyter that started the kernel is gone without a word, killed or crashed: with its memory the kernel
/// would stay for ever. Jupyter names itself to the kernels that shall go with it, and to no others.
async fn orphaned() {
    if std::env::var_os("JPY_PARENT_PID").is_none() {
        std::future::pending::<()>().await;
    }
    let parent = std::os::unix::process::parent_id();
    while std::os::unix::process::parent_id() == parent {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// A message from a client.
struct Request {
    /// Its identities and header; what it says is in `content`.
    envelope: JupyterMessage,
    content: Value,
}

impl Request {
    fn kind(&self) -> &str {
        &self.envelope.header.msg_type
    }

    fn text(&self, name: &str) -> String {
        self.content[name].as_str().unwrap_or_default().to_owned()
    }

    fn flag(&self, name: &str, default: bool) -> bool {
        self.content[name].as_bool().unwrap_or(default)
    }

    fn number(&self, name: &str) -> usize {
        self.content[name].as_u64().unwrap_or_default() as usize
    }
}

fn message(kind: &str, content: Value, parent: Option<&JupyterMessage>) -> JupyterMessage {
    let content = UnknownMessage {
        msg_type: kind.to_owned(),
        content,
    };
    let mut message = JupyterMessage::new(content, parent);
    message.header.username = "kernel".to_owned();
    message
}

/// Reads a channel. What is no message of Jupyter's, or has a wrong signature, is left aside.
async fn read_all(mut channel: RouterRecvConnection, requests: UnboundedSender<Request>) {
    loop {
        match read(&mut channel).await {
            Ok(request) => {
                if requests.send(request).is_err() {
                    return;
                }
            }
            Err(error) => {
                eprintln!("svertka-kernel: a message was ignored: {error}");
                // Should the socket itself have failed, this must not spin.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

async fn read(channel: &mut RouterRecvConnection) -> Result<Request> {
    let raw = RawMessage::from_multipart(channel.socket.recv().await?, &channel.mac)?;
    let part = |at: usize| {
        raw.jparts
            .get(at)
            .ok_or_else(|| anyhow!("a part is missing"))
    };
    let header: Header = serde_json::from_slice(part(0)?)?;
    let content: Value = serde_json::from_slice(part(3)?)?;
    let mut envelope =
        message("envelope", Value::Null, None).with_zmq_identities(raw.zmq_identities);
    envelope.header = header;
    Ok(Request { envelope, content })
}

async fn publish_all(
    mut iopub: KernelIoPubXPubConnection,
    mut messages: UnboundedReceiver<JupyterMessage>,
) {
    loop {
        let message = tokio::select! {
            biased;
            event = iopub.recv_subscription() => match event {
                Ok(SubscriptionEvent::Subscribe(topic)) => message("iopub_welcome", json!({"subscription": topic}), None),
                _ => continue,
            },
            message = messages.recv() => match message {
                Some(message) => message,
                None => return,
            },
        };
        if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, iopub.send(message)).await {
            eprintln!("svertka-kernel: a message was not published: {error}");
        }
    }
}

/// Publishes on iopub, from any thread.
#[derive(Clone)]
struct Publisher {
    to: UnboundedSender<JupyterMessage>,
    /// The request whose cell runs or ran last: output belongs to it.
    current: Arc<Mutex<Option<JupyterMessage>>>,
    /// The name of the display that tells what cargo compiles.
    building: Arc<Mutex<Option<String>>>,
}

impl Publisher {
    fn publish(&self, kind: &str, content: Value, parent: Option<&JupyterMessage>) {
        let mut message = message(kind, content, parent);
        // The topic, which nobody filters by.
        message.zmq_identities = vec![kind.to_owned().into_bytes().into()];
        let _ = self.to.send(message);
    }

    fn status(&self, state: &str, parent: Option<&JupyterMessage>) {
        self.publish("status", json!({"execution_state": state}), parent);
    }

    fn publish_event(&self, event: Event) {
        let parent = lock(&self.current);
        let parent = parent.as_ref();
        match event {
            Event::Text(stream, text) => {
                let name = if matches!(stream, Stream::Out) {
                    "stdout"
                } else {
                    "stderr"
                };
                self.publish("stream", json!({"name": name, "text": text}), parent);
            }
            Event::Content(data) => self.publish(
                "display_data",
                json!({"data": data, "metadata": {}, "transient": {}}),
                parent,
            ),
            Event::Building { id, text } => {
                let mut shown = lock(&self.building);
                let kind = if shown.as_ref() == Some(&id) {
                    "update_display_data"
                } else {
                    "display_data"
                };
                let data = json!({"text/plain": text});
                let content =
                    json!({"data": data, "metadata": {}, "transient": {"display_id": id}});
                self.publish(kind, content, parent);
                *shown = Some(id);
            }
            Event::Message(message) => {
                let kind = match message["type"].as_str() {
                    Some("display") => "display_data",
                    Some("update") => "update_display_data",
                    _ => return,
                };
                if message["data"].is_object() && message["id"].is_string() {
                    let transient = json!({"display_id": message["id"]});
                    // A picture's width and height.
                    let metadata = match &message["metadata"] {
                        Value::Object(metadata) => json!(metadata),
                        _ => json!({}),
                    };
                    self.publish(
                        kind,
                        json!({"data": message["data"], "metadata": metadata, "transient": transient}),
                        parent,
                    );
                }
            }
        }
    }
}

/// A cell asks for a line.
struct Ask {
    prompt: String,
    password: bool,
    parent: JupyterMessage,
    answer: blocking::Sender<String>,
}

/// Where the answer to the last question goes.
type Answer = Arc<Mutex<Option<blocking::Sender<String>>>>;

async fn ask_all(
    mut channel: RouterSendConnection,
    mut asked: UnboundedReceiver<Ask>,
    answer: Answer,
) {
    while let Some(ask) = asked.recv().await {
        *lock(&answer) = Some(ask.answer);
        let content = json!({"prompt": ask.prompt, "password": ask.password});
        if channel
            .send(message("input_request", content, Some(&ask.parent)))
            .await
            .is_err()
        {
            // Whoever sent the cell has gone: an empty line is the answer.
            *lock(&answer) = None;
        }
    }
}

async fn read_input(channel: RouterRecvConnection, answer: Answer) {
    let (replies, mut replied) = unbounded_channel();
    tokio::spawn(read_all(channel, replies));
    while let Some(reply) = replied.recv().await {
        if reply.kind() == "input_reply"
            && let Some(answer) = lock(&answer).take()
        {
            let _ = answer.send(reply.text("value"));
        }
    }
}

/// Work for evcxr's thread.
enum Job {
    Execute(Box<Cell>),
    Complete {
        code: String,
        at: usize,
        reply: oneshot::Sender<Option<evcxr::Completions>>,
    },
    Inspect {
        code: String,
        at: usize,
        reply: oneshot::Sender<Option<(String, String)>>,
    },
}

struct Cell {
    code: String,
    /// Its number, as Jupyter shows it.
    number: usize,
    parent: JupyterMessage,
    allow_stdin: bool,
    reply: oneshot::Sender<Outcome>,
}

/// evcxr's thread.
struct Worker {
    folders: Folders,
    /// This kernel's own, once it is there.
    folder: Arc<Mutex<Option<Copy>>>,
    publisher: Publisher,
    asks: UnboundedSender<Ask>,
    interrupter: Arc<OnceLock<Arc<Interrupter>>>,
}

impl Worker {
    fn work(self, jobs: &blocking::Receiver<Job>, ready: oneshot::Sender<()>) {
        let mut ready = Some(ready);
        let mut engine = self.start(&mut ready);
        if let Err(error) = &engine {
            eprintln!("svertka-kernel: {error:#}");
        }
        let _ = ready.take().map(|ready| ready.send(()));
        for job in jobs {
            match (&mut engine, job) {
                (Ok(engine), Job::Execute(cell)) => {
                    let input = |prompt: &str, password| {
                        self.ask(prompt, password, &cell.parent, cell.allow_stdin)
                    };
                    let _ = cell
                        .reply
                        .send(engine.execute(&cell.code, cell.number, &input));
                }
                // A kernel that says why it can't work helps more than one that dies.
                (Err(error), Job::Execute(cell)) => {
                    let failure = Some(Failure::new("kernel", &format!("{error:#}")));
                    let _ = cell.reply.send(Outcome {
                        failure,
                        ..Outcome::default()
                    });
                }
                (Ok(engine), Job::Complete { code, at, reply }) => {
                    drop(reply.send(engine.complete(&code, at)))
                }
                (Ok(engine), Job::Inspect { code, at, reply }) => {
                    drop(reply.send(engine.inspect(&code, at)))
                }
                (Err(_), _) => {}
            }
        }
    }

    /// Starts evcxr in a copy of the warmed folder, which is warmed anew first where it no longer fits.
    fn start(&self, ready: &mut Option<oneshot::Sender<()>>) -> Result<Engine> {
        if !self.folders.is_warm()? {
            // This takes minutes, which Jupyter would not wait for: the first cell does, and tells.
            let _ = ready.take().map(|ready| ready.send(()));
            self.warm()?;
        }
        let copy = self.folders.copy()?;
        crate::furnish(copy.path())?;
        let path = copy.path().to_owned();
        *lock(&self.folder) = Some(copy);
        let publisher = self.publisher.clone();
        let mut engine =
            Engine::start(&path, Arc::new(move |event| publisher.publish_event(event)))?;
        let _ = self.interrupter.set(engine.interrupter());
        if let Err(error) = engine.preload(&self.folders.project) {
            eprintln!("svertka-kernel: the crate is not preloaded: {error:#}");
        }
        Ok(engine)
    }

    /// Has the folder warmed by a process of its own, and tells the cell that waits how far it is.
    fn warm(&self) -> Result<()> {
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command
            .arg("--warm")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child = command.spawn()?;
        let why = say(
            "Rust or svertka has changed since set-up: the crate is compiled anew, about 3 minutes, once.",
            "Rust или svertka изменились после установки: крейт компилируется заново, около 3 минут, один раз.",
        );
        let (end, ended) = crossbeam_channel::bounded(0);
        let output = std::thread::scope(|scope| {
            scope.spawn(move || {
                building::watch(&self.folders.warm(), &ended, &|text| {
                    let text = format!("{why} {text}");
                    let waits = lock(&self.publisher.current).is_some();
                    if waits {
                        self.publisher.publish_event(Event::Building {
                            id: "svertka-warming".into(),
                            text,
                        });
                    }
                    waits
                });
            });
            let output = child.wait_with_output();
            drop(end);
            output
        })?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// Asks the client for a line; the cell waits.
    fn ask(
        &self,
        prompt: &str,
        password: bool,
        parent: &JupyterMessage,
        allow_stdin: bool,
    ) -> String {
        if !allow_stdin {
            let text = say(
                "This client can't be asked for input: the cell reads an empty line.\n",
                "Этот клиент не умеет спрашивать: ячейка читает пустую строку.\n",
            );
            self.publisher
                .publish_event(Event::Text(Stream::Err, text.to_owned()));
            return String::new();
        }
        let (answer, answered) = blocking::channel();
        let ask = Ask {
            prompt: prompt.to_owned(),
            password,
            parent: parent.clone(),
            answer,
        };
        let _ = self.asks.send(ask);
        let line = answered.recv().unwrap_or_default();
        line.replace(['\n', '\r'], " ")
    }
}

/// The shell channel: one request after the other.
struct Shell {
    send: RouterSendConnection,
    requested: UnboundedReceiver<Request>,
    /// Requests that were read while looking for cells to abort.
    waiting: VecDeque<Request>,
    publisher: Publisher,
    jobs: blocking::Sender<Job>,
    count: usize,
    history: Vec<String>,
}

impl Shell {
    async fn serve(&mut self) {
        loop {
            let request = match self.waiting.pop_front() {
                Some(request) => Some(request),
                None => self.requested.recv().await,
            };
            let Some(request) = request else { return };
            self.publisher.status("busy", Some(&request.envelope));
            let abort = self.answer(&request).await;
            self.publisher.status("idle", Some(&request.envelope));
            if abort {
                self.abort().await;
            }
        }
    }

    /// Answers one request. Returns whether the cells that wait are to be aborted.
    async fn answer(&mut self, request: &Request) -> bool {
        match request.kind() {
            "execute_request" => return self.execute(request).await,
            "kernel_info_request" => self.reply(request, kernel_info()).await,
            "complete_request" => {
                let content = self.complete(request).await;
                self.reply(request, content).await;
            }
            "inspect_request" => {
                let content = self.inspect(request).await;
                self.reply(request, content).await;
            }
            "is_complete_request" => {
                let content = match completeness(&request.text("code")) {
                    Completeness::Complete => json!({"status": "complete"}),
                    Completeness::Incomplete => json!({"status": "incomplete", "indent": "    "}),
                    Completeness::Invalid => json!({"status": "invalid"}),
                };
                self.reply(request, content).await;
            }
            "history_request" => {
                self.reply(
                    request,
                    json!({"status": "ok", "history": self.remember(request)}),
                )
                .await
            }
            "comm_info_request" => {
                self.reply(request, json!({"status": "ok", "comms": {}}))
                    .await
            }
            "comm_open" => {
                let content = json!({"comm_id": request.content["comm_id"], "data": {}});
                self.publisher
                    .publish("comm_close", content, Some(&request.envelope));
            }
            "connect_request" => self.reply(request, json!({"status": "ok"})).await,
            _ => {}
        }
        false
    }

    async fn reply(&mut self, request: &Request, content: Value) {
        reply(&mut self.send, request, content).await;
    }

    async fn execute(&mut self, request: &Request) -> bool {
        let code = request.text("code");
        let silent = request.flag("silent", false);
        if !silent && request.flag("store_history", true) {
            self.count += 1;
            self.history.push(code.clone());
        }
        let parent = &request.envelope;
        *lock(&self.publisher.current) = Some(parent.clone());
        if !silent {
            self.publisher.publish(
                "execute_input",
                json!({"code": code, "execution_count": self.count}),
                Some(parent),
            );
        }
        let (reply, outcome) = oneshot::channel();
        let allow_stdin = request.flag("allow_stdin", true);
        let _ = self.jobs.send(Job::Execute(Box::new(Cell {
            code,
            number: self.count,
            parent: parent.clone(),
            allow_stdin,
            reply,
        })));
        let outcome = outcome.await.unwrap_or_default();
        if let Some(failure) = outcome.failure {
            let abort = request.flag("stop_on_error", true);
            if abort {
                // What the client sent together with this cell may still be on its way through the sockets. What it
                // sends once it knows of the failure runs.
                tokio::time::sleep(Duration::from_millis(20)).await;
                while let Ok(request) = self.requested.try_recv() {
                    self.waiting.push_back(request);
                }
            }
            let error = json!({"ename": failure.name, "evalue": failure.value, "traceback": failure.traceback});
            self.publisher.publish("error", error.clone(), Some(parent));
            let mut content = error;
            content["status"] = "error".into();
            content["execution_count"] = self.count.into();
            self.reply(request, content).await;
            return abort;
        }
        if !outcome.content.is_empty() && !silent {
            let content =
                json!({"execution_count": self.count, "data": outcome.content, "metadata": {}});
            self.publisher
                .publish("execute_result", content, Some(parent));
        }
        let unknown = |(name, _): (&String, &Value)| {
            (
                name.clone(),
                json!({"status": "error", "ename": "unsupported", "evalue": "", "traceback": []}),
            )
        };
        let expressions = request.content["user_expressions"].as_object();
        let expressions: Map<String, Value> =
            expressions.into_iter().flatten().map(unknown).collect();
        let count = self.count;
        let content = json!({"status": "ok", "execution_count": count, "payload": [], "user_expressions": expressions});
        self.reply(request, content).await;
        false
    }

    /// Tells the cells that were sent before an error that they will not run.
    async fn abort(&mut self) {
        for request in std::mem::take(&mut self.waiting) {
            if request.kind() == "execute_request" {
                self.publisher.status("busy", Some(&request.envelope));
                self.reply(
                    &request,
                    json!({"status": "aborted", "execution_count": self.count}),
                )
                .await;
                self.publisher.status("idle", Some(&request.envelope));
            } else {
                self.waiting.push_back(request);
            }
        }
    }

    async fn complete(&mut self, request: &Request) -> Value {
        let (code, cursor) = (request.text("code"), request.number("cursor_pos"));
        let (reply, found) = oneshot::channel();
        let _ = self.jobs.send(Job::Complete {
            at: bytes_before(&code, cursor),
            code: code.clone(),
            reply,
        });
        let mut content = json!({"status": "ok", "matches": [], "metadata": {}, "cursor_start": cursor, "cursor_end": cursor});
        if let Ok(Some(found)) = found.await {
            let start = characters_before(&code, found.start_offset);
            let end = characters_before(&code, found.end_offset);
            let mut matches: Vec<String> = Vec::new();
            let mut types = Vec::new();
            for completion in found.completions {
                if !matches.contains(&completion.code) {
                    types.push(json!({"text": completion.code, "type": completion.kind, "start": start, "end": end}));
                    matches.push(completion.code);
                }
            }
            content["matches"] = matches.into();
            content["cursor_start"] = start.into();
            content["cursor_end"] = end.into();
            content["metadata"]["_jupyter_types_experimental"] = types.into();
        }
        content
    }

    async fn inspect(&mut self, request: &Request) -> Value {
        let code = request.text("code");
        let at = bytes_before(&code, request.number("cursor_pos"));
        // The name that the cursor touches, to its end.
        let more =
            code[at..].find(|character: char| !character.is_alphanumeric() && character != '_');
        let at = more.map_or(code.len(), |more| at + more);
        let (reply, found) = oneshot::channel();
        let _ = self.jobs.send(Job::Inspect { code, at, reply });
        match found.await {
            Ok(Some((text, html))) => {
                json!({"status": "ok", "found": true, "data": {"text/plain": text, "text/html": html}, "metadata": {}})
            }
            _ => json!({"status": "ok", "found": false, "data": {}, "metadata": {}}),
        }
    }

    /// This session's cells that a history request asks for.
    fn remember(&self, request: &Request) -> Vec<Value> {
        let cells = self.history.iter().enumerate();
        let pattern = request.text("pattern");
        let wanted: Vec<(usize, &String)> = match request.content["hist_access_type"].as_str() {
            Some("range") => {
                let stop = request.content["stop"]
                    .as_u64()
                    .map_or(usize::MAX, |stop| stop as usize);
                let start = request.number("start").max(1);
                cells
                    .filter(|(at, _)| (start..stop).contains(&(at + 1)))
                    .collect()
            }
            Some("search") => {
                let parts: Vec<&str> = pattern
                    .split(['*', '?'])
                    .filter(|part| !part.is_empty())
                    .collect();
                cells
                    .filter(|(_, code)| parts.iter().all(|part| code.contains(part)))
                    .collect()
            }
            _ => cells.collect(),
        };
        let most = request.content["n"]
            .as_u64()
            .map_or(usize::MAX, |most| most as usize);
        let output = request.flag("output", false);
        let entry = |(at, code): &(usize, &String)| {
            let cell = if output {
                json!([code, Value::Null])
            } else {
                json!(code)
            };
            json!([1, at + 1, cell])
        };
        wanted[wanted.len().saturating_sub(most)..]
            .iter()
            .map(entry)
            .collect()
    }
}

/// The control channel: what can't wait for a cell to end.
struct Control {
    send: RouterSendConnection,
    publisher: Publisher,
    interrupter: Arc<OnceLock<Arc<Interrupter>>>,
    input: Answer,
}

impl Control {
    /// Returns whether the kernel is to end.
    async fn obey(&mut self, order: Request) -> bool {
        self.publisher.status("busy", Some(&order.envelope));
        let mut end = false;
        match order.kind() {
            "interrupt_request" => {
                // A cell that waits for a line gets an empty one.
                let waited = lock(&self.input).take().is_some();
                let told = self
                    .interrupter
                    .get()
                    .filter(|_| !waited)
                    .and_then(|interrupter| interrupter.interrupt());
                if let Some(text) = told {
                    self.publisher
                        .publish_event(Event::Text(Stream::Err, text.to_owned()));
                }
                reply(&mut self.send, &order, json!({"status": "ok"})).await;
            }
            "shutdown_request" => {
                let content = json!({"status": "ok", "restart": order.flag("restart", false)});
                self.publisher
                    .publish("shutdown_reply", content.clone(), Some(&order.envelope));
                reply(&mut self.send, &order, content).await;
                end = true;
            }
            "kernel_info_request" => reply(&mut self.send, &order, kernel_info()).await,
            _ => {}
        }
        self.publisher.status("idle", Some(&order.envelope));
        end
    }
}

async fn reply(send: &mut Connection<zeromq::RouterSendHalf>, request: &Request, content: Value) {
    let kind = request.kind().replace("_request", "_reply");
    if let Err(error) = send
        .send(message(&kind, content, Some(&request.envelope)))
        .await
    {
        eprintln!("svertka-kernel: no reply to {}: {error}", request.kind());
    }
}

fn kernel_info() -> Value {
    json!({
        "status": "ok",
        "protocol_version": "5.4",
        "implementation": "svertka-kernel",
        "implementation_version": env!("CARGO_PKG_VERSION"),
        "language_info": {
            "name": "rust",
            "version": "2024",
            "mimetype": "text/rust",
            "file_extension": ".rs",
            "pygments_lexer": "rust",
            "codemirror_mode": "rust",
        },
        "banner": "svertka: Rust in Jupyter, over evcxr",
        "debugger": false,
        "help_links": [],
        "supported_features": [],
    })
}
