//! What is done with a datagram, up to the end of the corridor.

use fence_kdump_core::{Disbelief, Instant, NodeId};

use super::Run;
use super::fleet::{Heard, Ticket, Told};
use crate::proof;
use crate::socket::Datagram;
use crate::store::{self, Judged, StoreError, began};
use crate::voice::{Voice, Weight};

impl Run {
    /// A datagram came, from an address of `whose`.
    pub(super) fn hear(&mut self, datagram: &Datagram, whose: Option<NodeId>, now: Instant) {
        let Heard { told, challenge, hearing } =
            self.fleet.hear_from(whose, datagram, now, proof::random);
        if !self.fleet.has_kept() {
            self.line.remember(datagram);
        }
        match told {
            Some(told) => self.tell_of_datagram(*told),
            None => tell_details(datagram, &self.voice),
        }
        if let Some(challenge) = challenge
            && let Err(error) = self.line.send(datagram.from, datagram.port, &*challenge)
        {
            let line = format!("no challenge could be sent to {}: {error}", datagram.from);
            self.voice.say_once(Weight::Detail, line);
        }
        if let Some(pending) = hearing {
            let (hearing, ticket) = *pending;
            let judged = match &mut self.notary {
                Some(notary) => notary.submit(hearing, ticket),
                None => {
                    let result = Err(Disbelief::Unremembered);
                    Some(Judged { ticket, result, crash: None, trouble: None })
                }
            };
            if let Some(judged) = judged {
                self.judged(judged);
            }
        }
    }

    fn tell_of_datagram(&mut self, told: Told) {
        match told {
            Told::Event(happened) => self.herald.tell(happened),
            Told::Disbelief(line) => self.voice.say(Weight::Info, line),
        }
    }

    /// The memory says something.
    pub(super) fn heed_notary(&mut self, news: store::News<Ticket>) {
        match news {
            store::News::Judged(judged) => self.judged(judged),
            store::News::Began(path) => self.voice.say_once(Weight::Info, began(&path)),
            store::News::Trouble(error) => self.tell_state_trouble(&error),
        }
    }

    fn judged(&mut self, judged: Judged<Ticket>) {
        let Judged { ticket, result, crash, trouble } = judged;
        if let Some(trouble) = trouble {
            self.tell_state_trouble(&trouble);
        }
        if let Some(crash) = crash {
            self.fleet.on_disk(&ticket, crash);
        }
        if let Some(told) = self.fleet.judged(&ticket, result) {
            self.tell_of_datagram(*told);
        }
    }

    /// Once, since each message that cannot be remembered would say the same.
    fn tell_state_trouble(&self, error: &StoreError) {
        let weight = if self.is_signing { Weight::Error } else { Weight::Warning };
        self.voice.say_once(weight, format!("state_dir: {error}"));
    }
}

fn tell_details(datagram: &Datagram, voice: &Voice) {
    if voice.verbose() > 0 {
        let from = datagram.from;
        voice.say(
            Weight::Detail,
            match datagram.said {
                Ok(_) => format!("heard a message from {from}"),
                Err(error) => format!("refused a datagram from {from}: {error}"),
            },
        );
    }
}
