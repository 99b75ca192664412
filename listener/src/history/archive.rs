//! The history for the web server: a reader on a thread of its own.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use tokio::sync::oneshot;

use super::error::HistoryError;
use super::{History, Opener, Page, Reader};
use crate::background;
use crate::fleet::event::Event;
use crate::web::past::{Answer, Past, PastError, Wanted};

/// The most questions that wait for an answer.
const ROOM: usize = 64;

type Reply = Result<Vec<Event>, PastError>;

/// Answers questions about the past, one after the other. The thread ends when this is dropped.
#[derive(Debug)]
pub struct Archive {
    desk: SyncSender<(Wanted, oneshot::Sender<Reply>)>,
}

impl Archive {
    /// Of what `history` writes. It need not be open yet.
    ///
    /// # Errors
    /// When the system makes no thread.
    pub fn start(history: &History) -> io::Result<Self> {
        let (desk, questions) = sync_channel(ROOM);
        let opener = history.opener();
        thread::Builder::new().name("archive".to_owned()).stack_size(512 * 1024).spawn(
            move || {
                background::give_way();
                work(&opener, &questions);
            },
        )?;
        Ok(Self { desk })
    }
}

impl Past for Archive {
    fn history(&self, wanted: Wanted) -> Answer<'_> {
        let (answer, answered) = oneshot::channel();
        let failed = |why: &str| PastError::Failed(why.to_owned());
        let gone = "the thread that reads it has ended";
        let refused = match self.desk.try_send((wanted, answer)) {
            Ok(()) => None,
            Err(TrySendError::Full(_)) => Some("too many ask at once"),
            Err(TrySendError::Disconnected(_)) => Some(gone),
        };
        Box::pin(async move {
            match refused {
                Some(why) => Err(failed(why)),
                None => answered.await.unwrap_or_else(|_| Err(failed(gone))),
            }
        })
    }
}

fn work(opener: &Opener, questions: &Receiver<(Wanted, oneshot::Sender<Reply>)>) {
    let mut reader = None;
    while let Ok((wanted, answer)) = questions.recv() {
        // Nobody waits any more: a slow disk must not be asked in vain.
        if answer.is_closed() {
            continue;
        }
        let reply = find(opener, &mut reader, wanted);
        // A reader that failed is opened anew for the next question.
        if matches!(reply, Err(PastError::Failed(_))) {
            reader = None;
        }
        drop(answer.send(reply));
    }
}

fn find(opener: &Opener, reader: &mut Option<Reader>, wanted: Wanted) -> Reply {
    let failed = |error: HistoryError| PastError::Failed(error.to_string());
    let reader = match reader {
        Some(reader) => reader,
        None => reader.insert(opener.open().map_err(failed)?),
    };
    let before = match wanted.before {
        None => None,
        Some(id) => match reader.number(&id).map_err(failed)? {
            None => return Err(PastError::NoEvent(id)),
            number => number,
        },
    };
    let most = u32::try_from(wanted.limit).unwrap_or(u32::MAX);
    let page = Page { node: wanted.node, before, most, ..Page::default() };
    let entries = reader.events(&page).map_err(failed)?;
    Ok(entries.into_iter().map(|entry| entry.event).collect())
}
