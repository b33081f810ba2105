//! What serves requests: dependencies first, services after them.

use crossbridge_core::time::nanos;
use crossbridge_std::config::KeyPath;

use super::Resolver;
use crate::distribution::Distribution;
use crate::scenario::format::{
    AbandonedFile, ColdFile, ContentionFile, DependencyFile, DisciplineFile, LiveFile, QueueFile, ShedFile,
};
use crate::scenario::{Abandoned, Cold, Contention, Discipline, Node, RealServer, Shed};

impl Resolver<'_> {
    pub(super) fn nodes(&mut self, names: &[String]) -> Vec<Node> {
        let mut nodes = Vec::new();
        for (name, spec) in &self.file.dependencies.0 {
            let at = KeyPath::root().key("dependencies").key(name);
            nodes.push(self.serving(&at, name, spec));
        }
        for (name, spec) in &self.file.services.0 {
            let at = KeyPath::root().key("services").key(name);
            let node = self.serving(&at, name, &spec.serving());
            let downstream = self.downstream(&at, names, &spec.path, &spec.calls, None);
            nodes.push(Node { downstream, ..node });
        }
        self.refuse_circles(&nodes);
        nodes
    }

    fn serving(&mut self, at: &KeyPath, name: &str, spec: &DependencyFile) -> Node {
        if spec.servers == 0 {
            self.refuse(at.key("servers"), 0, "at least 1");
        }
        let shed = match spec.shed {
            ShedFile::None => Shed::None,
            ShedFile::Expired => Shed::Expired,
            ShedFile::CannotFinishWithin(span) => Shed::CannotFinishWithin(nanos(span.get())),
        };
        if shed == Shed::CannotFinishWithin(0) {
            let key = at.key("shed").key("cannot_finish_within");
            self.refuse(key, "0s", "more than 0, or `shed: expired`");
        }
        let latency = spec.latency.as_ref();
        Node {
            name: name.to_owned(),
            servers: spec.servers,
            queue: match spec.queue {
                QueueFile::Unbounded => None,
                QueueFile::Bounded(count) => Some(count as usize),
            },
            discipline: match spec.discipline {
                DisciplineFile::Fifo => Discipline::Fifo,
                DisciplineFile::Lifo => Discipline::Lifo,
            },
            // What is refused is not run: any time will do.
            service_time: self
                .span(&at.key("service_time"), &spec.service_time)
                .unwrap_or(Distribution::Constant(0)),
            latency: latency.and_then(|latency| self.span(&at.key("latency"), latency)),
            abandoned: match spec.abandoned {
                AbandonedFile::Drop => Abandoned::Drop,
                AbandonedFile::Serve => Abandoned::Serve,
            },
            shed,
            contention: match spec.contention {
                ContentionFile::None => Contention::None,
                ContentionFile::Occ => Contention::Optimistic,
            },
            cold: spec.cold.map(|cold| self.cold(&at.key("cold"), cold)),
            downstream: None,
            live: spec.live.map(|live| match live {
                LiveFile::Postgres => RealServer::Postgres,
                LiveFile::Redis => RealServer::Redis,
                LiveFile::Http => RealServer::Http,
            }),
        }
    }

    fn cold(&mut self, at: &KeyPath, file: ColdFile) -> Cold {
        if !(1.0..=1e6).contains(&file.factor) {
            self.refuse(at.key("factor"), file.factor, "1 to 1000000");
        }
        if file.requests == 0 {
            self.refuse(at.key("requests"), 0, "at least 1");
        }
        Cold {
            factor: file.factor,
            requests: file.requests,
        }
    }
}
