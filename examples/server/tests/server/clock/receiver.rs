//! A webhook receiver whose answers the test chooses.

use std::io::BufReader;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use serde_json::Value;

use crate::webhook_faults::{read, write};

/// How webhooks are answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Ok,
    Error,
    /// Not before this changes.
    Later,
}

#[derive(Default)]
struct State {
    answer: Option<Answer>,
    received: Vec<Value>,
}

/// Receives webhooks until the test ends.
pub(super) struct Receiver {
    pub(super) url: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Receiver {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { url, state }
    }

    pub(super) fn answer(&self, answer: Answer) {
        self.state.0.lock().unwrap().answer = Some(answer);
        self.state.1.notify_all();
    }

    /// Returns the types of the events that arrived, in order.
    pub(super) fn types(&self) -> Vec<String> {
        let state = self.state.0.lock().unwrap();
        state.received.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    pub(super) fn calls(&self) -> usize {
        self.state.0.lock().unwrap().received.len()
    }
}

fn serve(mut stream: TcpStream, (state, changed): &(Mutex<State>, Condvar)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(call) = read(&mut reader) {
        let mut locked = state.lock().unwrap();
        locked.received.push(serde_json::from_str(&call.body).unwrap());
        let locked = changed.wait_while(locked, |state| state.answer == Some(Answer::Later)).unwrap();
        let is_error = locked.answer == Some(Answer::Error);
        drop(locked);
        let status = if is_error { "500 Internal Server Error" } else { "200 OK" };
        if write(&mut stream, status).is_err() {
            return;
        }
    }
}
