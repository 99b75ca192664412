//! The port and the programs that share it: who reads it, and whether everybody is told.
//!
//! The code of the listener's hand-over is made of sockets and timers, so this is a model of it, rule by
//! rule: the seat is a name that one program at a time can have; whoever has it reads the port and
//! gives each that asks a copy of the port's socket; whoever is left goes on reading that copy; and while
//! the one at the seat hangs, somebody else reads in its place, at a second seat.
//!
//! What is checked: from every state, however the programs were started, killed, stopped and continued,
//! and however far each of them has got, once nothing more of this happens everybody is soon told what
//! arrives. There is one exception, `is_cut_off`, which no program can help.

use stateright::{Model, Property};

use crate::check::Firsts;

/// A program, by its number.
type Pid = u8;
/// A socket that is bound to the port. At most one exists at a time.
type Socket = u8;

/// Where a program is at one of the two seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// It will try to sit down.
    Between,
    /// It sits there, and reads this socket if it has one.
    Holding(Option<Socket>),
    /// It asks the one that sits there, who has answered or not yet; and has a copy of the socket.
    Waiting(Pid, bool, Option<Socket>),
}

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Program {
    /// It runs, but does nothing.
    pub stopped: bool,
    /// At the seat.
    pub place: Place,
    /// At the second one, while the one at the first hangs.
    pub stand_in: Option<Place>,
    /// The socket that the last one at the seat left.
    pub left: Option<Socket>,
}

/// The programs of one host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Programs {
    /// `None` where none runs.
    pub all: Vec<Option<Program>>,
    /// How often one was started, killed, and stopped.
    pub done: [u8; 3],
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A program is started,
    Start(Pid),
    /// killed or at its end,
    Kill(Pid),
    /// stopped,
    Stop(Pid),
    /// continued,
    Continue(Pid),
    /// or does what is next.
    Step(Pid),
}

/// The model, and how often what happens at most.
#[derive(Debug)]
pub struct Port {
    /// How many programs there can be at once.
    pub programs: u8,
    /// Starts, ends and stops.
    pub most: [u8; 3],
    /// How many can be stopped at once.
    pub stopped: usize,
    /// What was told already.
    pub firsts: Firsts,
}

/// In so many rounds, in each of which every program does one thing, everybody has to be told.
const SOON: u8 = 12;

impl Programs {
    fn get(&self, pid: Pid) -> Option<&Program> {
        self.all.get(usize::from(pid))?.as_ref()
    }

    fn numbered(&self) -> impl Iterator<Item = (Pid, &Program)> {
        (0..).zip(&self.all).filter_map(|(pid, program)| Some((pid, program.as_ref()?)))
    }

    /// Who sits at the seat, or at the second one.
    fn seated(&self, second: bool) -> Option<Pid> {
        self.numbered()
            .find(|(_, program)| program.at(second).is_some_and(Place::is_held))
            .map(|(pid, _)| pid)
    }

    /// The socket that is bound to the port, as long as anybody has a copy.
    fn bound(&self) -> Option<Socket> {
        self.numbered().find_map(|(_, program)| program.copies().next())
    }

    /// Opens the port, which only works while nobody else has it.
    fn open(&self) -> Option<Socket> {
        self.bound().is_none().then_some(0)
    }

    /// Whether `pid` is told what arrives.
    fn hears(&self, pid: Pid) -> bool {
        self.get(pid).is_some_and(|program| {
            [false, true].into_iter().any(|second| match program.at(second) {
                Some(Place::Holding(socket)) => socket.is_some(),
                Some(Place::Waiting(other, true, _)) => self.get(other).is_some_and(|holder| {
                    let reads = matches!(holder.at(second), Some(Place::Holding(Some(_))));
                    reads && !holder.stopped
                }),
                Some(Place::Waiting(..) | Place::Between) | None => false,
            })
        })
    }

    /// The program does what is next; false when it has nothing to do.
    fn step(&mut self, pid: Pid) -> bool {
        let Some(before) = self.get(pid).copied().filter(|program| !program.stopped) else {
            return false;
        };
        let program = match before.place {
            Place::Between => self.sit_down(before),
            Place::Holding(None) => Program { place: Place::Holding(self.open()), ..before },
            Place::Holding(Some(_)) => before,
            Place::Waiting(other, welcome, copy) => self.wait(before, other, welcome, copy),
        };
        if let Some(place) = self.all.get_mut(usize::from(pid)) {
            *place = Some(program);
        }
        program != before || self.offer(pid)
    }

    fn sit_down(&self, program: Program) -> Program {
        let left = program.left;
        let place = match self.seated(false) {
            None => Place::Holding(left.or_else(|| self.open())),
            Some(other) => Place::Waiting(other, false, left),
        };
        Program { place, left: None, ..program }
    }

    fn wait(&self, program: Program, other: Pid, welcome: bool, copy: Option<Socket>) -> Program {
        let Some(holder) = self.get(other).filter(|holder| holder.place.is_held()) else {
            return Program { place: Place::Between, stand_in: None, left: copy, ..program };
        };
        if holder.stopped {
            let stand_in = match program.stand_in {
                None | Some(Place::Between) => Some(self.sit_in(copy)),
                Some(Place::Holding(None)) => Some(Place::Holding(self.open())),
                Some(Place::Holding(Some(socket))) => Some(Place::Holding(Some(socket))),
                Some(Place::Waiting(reader, _, _)) => Some(match self.get(reader) {
                    Some(reads) if reads.at(true).is_some_and(Place::is_held) && !reads.stopped => {
                        Place::Waiting(reader, true, None)
                    }
                    Some(_) | None => Place::Between,
                }),
            };
            return Program { stand_in, ..program };
        }
        // It answers: what it does not have it cannot give.
        let given = match holder.place {
            Place::Holding(Some(socket)) => Some(socket),
            _ => copy,
        };
        let place = Place::Waiting(other, true, given);
        let _ = welcome;
        Program { place, stand_in: None, ..program }
    }

    fn sit_in(&self, copy: Option<Socket>) -> Place {
        match self.seated(true) {
            None => Place::Holding(copy.or_else(|| self.open())),
            Some(reader) => Place::Waiting(reader, false, None),
        }
    }

    /// One that has a copy offers it to the one at the seat, or at the second one, who has none.
    fn offer(&mut self, pid: Pid) -> bool {
        let Some(program) = self.get(pid).copied() else {
            return false;
        };
        let Place::Waiting(_, _, Some(copy)) = program.place else {
            return false;
        };
        [false, true].into_iter().any(|second| {
            let Some(Place::Waiting(other, true, _)) = program.at(second) else {
                return false;
            };
            let holder = self.all.get_mut(usize::from(other)).and_then(Option::as_mut);
            let place = holder.filter(|holder| !holder.stopped).and_then(|holder| match second {
                false => Some(&mut holder.place),
                true => holder.stand_in.as_mut(),
            });
            let Some(place) = place.filter(|place| **place == Place::Holding(None)) else {
                return false;
            };
            *place = Place::Holding(Some(copy));
            true
        })
    }
}

impl Program {
    const NEW: Self = Self { stopped: false, place: Place::Between, stand_in: None, left: None };

    fn at(&self, second: bool) -> Option<Place> {
        if second { self.stand_in } else { Some(self.place) }
    }

    fn copies(&self) -> impl Iterator<Item = Socket> {
        let of = |place| match place {
            Place::Holding(socket) | Place::Waiting(_, _, socket) => socket,
            Place::Between => None,
        };
        [of(self.place), self.stand_in.and_then(of), self.left].into_iter().flatten()
    }
}

impl Place {
    const fn is_held(self) -> bool {
        matches!(self, Self::Holding(_))
    }
}

impl Port {
    /// Whether nobody can help that programs hear nothing: the port is bound, and all copies of its socket
    /// are with programs that are stopped; or both seats are theirs.
    fn is_cut_off(programs: &Programs) -> bool {
        let stopped = |pid| programs.get(pid).is_some_and(|one| one.stopped);
        let taken = |second| programs.seated(second).is_some_and(stopped);
        let mut copies = programs.numbered().filter(|(_, one)| one.copies().next().is_some());
        let kept = programs.bound().is_some() && copies.all(|(_, one)| one.stopped);
        kept || (taken(false) && taken(true))
    }

    /// Who is deaf although nothing happens any more, each program having had its turns.
    fn deaf(&self, programs: &Programs) -> Option<Pid> {
        let mut programs = programs.clone();
        for _ in 0..SOON {
            for pid in 0..self.programs {
                programs.step(pid);
            }
        }
        let running = programs.numbered().filter(|(_, program)| !program.stopped);
        let mut deaf = running.filter(|(pid, _)| !programs.hears(*pid));
        deaf.next().filter(|_| !Self::is_cut_off(&programs)).map(|(pid, _)| pid)
    }
}

impl Model for Port {
    type State = Programs;
    type Action = Event;

    fn init_states(&self) -> Vec<Programs> {
        vec![Programs { all: vec![None; usize::from(self.programs)], done: [0; 3] }]
    }

    fn actions(&self, state: &Programs, events: &mut Vec<Event>) {
        let [starts, ends, stops] = [0, 1, 2].map(|kind: usize| state.done[kind] < self.most[kind]);
        let stopped = state.numbered().filter(|(_, program)| program.stopped).count();
        for (pid, place) in (0..).zip(&state.all) {
            match place {
                None if starts => events.push(Event::Start(pid)),
                None => {}
                Some(program) => {
                    events.extend(ends.then_some(Event::Kill(pid)));
                    events.push(match program.stopped {
                        true => Event::Continue(pid),
                        false => Event::Step(pid),
                    });
                    if !program.stopped && stops && stopped < self.stopped {
                        events.push(Event::Stop(pid));
                    }
                }
            }
        }
    }

    fn next_state(&self, last: &Programs, event: Event) -> Option<Programs> {
        let mut state = last.clone();
        let (Event::Start(pid)
        | Event::Kill(pid)
        | Event::Stop(pid)
        | Event::Continue(pid)
        | Event::Step(pid)) = event;
        let place = &mut state.all[usize::from(pid)];
        match event {
            Event::Start(_) => {
                *place = Some(Program::NEW);
                state.done[0] += 1;
            }
            Event::Kill(_) => {
                *place = None;
                state.done[1] += 1;
            }
            Event::Stop(_) => {
                place.as_mut()?.stopped = true;
                state.done[2] += 1;
            }
            Event::Continue(_) => place.as_mut()?.stopped = false,
            Event::Step(_) => {
                state.step(pid);
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("nobody stays deaf", |port: &Self, programs: &Programs| {
                port.deaf(programs).is_none() || !port.firsts.is("nobody stays deaf")
            }),
            Property::always("one reads at each seat", |port: &Self, programs: &Programs| {
                let held = |second| {
                    let at = |(_, program): &(Pid, &Program)| {
                        program.at(second).is_some_and(Place::is_held)
                    };
                    programs.numbered().filter(at).count()
                };
                (held(false) <= 1 && held(true) <= 1) || !port.firsts.is("one reads at each seat")
            }),
            Property::sometimes("cut off", |port: &Self, programs: &Programs| {
                let deaf = |(pid, program): (Pid, &Program)| {
                    !program.stopped && !programs.hears(pid) && Self::is_cut_off(programs)
                };
                programs.numbered().any(deaf) && port.firsts.is("cut off")
            }),
            Property::sometimes(
                "somebody reads in another one's place",
                |port: &Self, programs: &Programs| {
                    let reads = |(_, program): (Pid, &Program)| {
                        matches!(program.stand_in, Some(Place::Holding(Some(_))))
                    };
                    programs.numbered().any(reads)
                        && port.firsts.is("somebody reads in another one's place")
                },
            ),
        ]
    }
}

/// One line for what happens.
#[must_use]
pub fn show(_: &Port, state: &Programs, event: Option<&Event>) -> String {
    event.map_or_else(|| format!("  {:?}", state.all), |event| format!("  {event:?}"))
}
