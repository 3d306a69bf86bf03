//! One comment on a pull request, also with two runs at once and with answers that got lost.

use super::{
    api::Failure,
    comment::{Found, Marker, Step, plan},
};

/// Comments of pull requests. Every method but `create` may be repeated without harm, and repeats
/// itself as far as that helps.
#[expect(
    async_fn_in_trait,
    reason = "everything runs on one thread, so nothing has to be Send"
)]
pub trait Comments {
    /// All comments of a pull request.
    async fn list(&self, number: u64) -> Result<Vec<Found>, Failure>;
    /// Makes one; never repeated by itself.
    async fn create(&self, number: u64, body: &str) -> Result<Found, Failure>;
    /// Gives one another text.
    async fn update(&self, id: u64, body: &str) -> Result<Found, Failure>;
    /// Deletes one; one that is gone is no failure.
    async fn delete(&self, id: u64) -> Result<(), Failure>;
}

/// What became of the comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posted {
    /// There is a new one.
    Created(String),
    /// The one there was has this run's text now.
    Updated(String),
    /// It had that text already.
    Unchanged(String),
    /// It is that of a newer run, and stays.
    Newer(String),
}

impl Posted {
    /// The comment's page.
    #[must_use]
    pub fn url(&self) -> &str {
        match self {
            Self::Created(url) | Self::Updated(url) | Self::Unchanged(url) | Self::Newer(url) => {
                url
            }
        }
    }
}

/// Rounds of looking and doing. Each but the last can be undone by somebody else meanwhile: a
/// comment deleted, a lost answer.
const MOST_LOOKS: u32 = 5;
/// Comments that are made at most: a second one only after a look shows that the first is not there.
const MOST_CREATED: u32 = 2;

/// Brings the pull request to one comment of this author and key: this run's, or a newer run's.
///
/// After a comment was made, or may have been, all are listed again before anything else is done:
/// a request whose answer got lost may well have been carried out.
///
/// # Errors
/// What GitHub refused, or the last thing that remained unclear.
pub async fn post(
    comments: &impl Comments,
    number: u64,
    author: &str,
    marker: &Marker,
    body: &str,
) -> Result<Posted, Failure> {
    let mut created: Option<u64> = None;
    let mut creations = 0;
    let mut unclear = Failure::Unclear("the comment keeps vanishing".to_owned());
    for _ in 0..MOST_LOOKS {
        let plan = plan(&comments.list(number).await?, author, marker, body, created);
        let done = match plan.step {
            Step::Create if creations < MOST_CREATED => {
                creations += 1;
                match comments.create(number, body).await {
                    Ok(made) => created = Some(made.id),
                    Err(Failure::Unclear(said)) => unclear = Failure::Unclear(said),
                    Err(failure) => return Err(failure),
                }
                continue;
            }
            Step::Create => return Err(unclear),
            Step::Update(old) => match comments.update(old.id, body).await {
                Ok(new) => Posted::Updated(new.url),
                Err(Failure::NotFound(_)) => continue,
                Err(failure) => return Err(failure),
            },
            Step::Unchanged(found) if created == Some(found.id) || creations > 0 => {
                Posted::Created(found.url)
            }
            Step::Unchanged(found) => Posted::Unchanged(found.url),
            Step::Newer(found) => Posted::Newer(found.url),
        };
        for id in plan.delete {
            comments.delete(id).await?;
        }
        return Ok(done);
    }
    Err(unclear)
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::VecDeque};

    use super::{super::comment::body, *};

    const ME: &str = "github-actions[bot]";

    /// A pull request in memory, with accidents that happen to the next creations.
    #[derive(Default)]
    struct Fake {
        comments: RefCell<Vec<Found>>,
        accidents: RefCell<VecDeque<Accident>>,
        created: RefCell<u32>,
    }

    #[derive(Clone, Copy)]
    enum Accident {
        /// Carried out, and the answer lost.
        AnswerLost,
        /// Not carried out.
        RequestLost,
        Refused,
        /// Another run makes one at the same moment.
        OtherRunToo(u64),
        /// Carried out, and deleted by a person before anyone looks.
        Deleted,
    }

    fn marker(run: u64) -> Marker {
        Marker {
            key: "default".to_owned(),
            run: (run, 1),
            head_sha: "abc".to_owned(),
        }
    }

    fn text(run: u64) -> String {
        body(&format!("report of run {run}"), "links", &marker(run))
    }

    impl Fake {
        fn add(&self, body: &str) -> Found {
            let mut comments = self.comments.borrow_mut();
            let id = comments.last().map_or(1, |last| last.id + 1);
            comments.push(Found {
                id,
                author: ME.to_owned(),
                body: body.to_owned(),
                url: format!("https://page/{id}"),
            });
            comments.last().unwrap().clone()
        }

        fn bodies(&self) -> Vec<String> {
            let comments = self.comments.borrow();
            comments.iter().map(|found| found.body.clone()).collect()
        }
    }

    impl Comments for Fake {
        async fn list(&self, _: u64) -> Result<Vec<Found>, Failure> {
            Ok(self.comments.borrow().clone())
        }

        async fn create(&self, _: u64, body: &str) -> Result<Found, Failure> {
            *self.created.borrow_mut() += 1;
            let lost = || Err(Failure::Unclear("502".to_owned()));
            let accident = self.accidents.borrow_mut().pop_front();
            match accident {
                None => Ok(self.add(body)),
                Some(Accident::AnswerLost) => {
                    self.add(body);
                    lost()
                }
                Some(Accident::RequestLost) => lost(),
                Some(Accident::Refused) => Err(Failure::Refused("403".to_owned())),
                Some(Accident::OtherRunToo(run)) => {
                    self.add(&text(run));
                    Ok(self.add(body))
                }
                Some(Accident::Deleted) => {
                    let made = self.add(body);
                    self.comments.borrow_mut().pop();
                    Ok(made)
                }
            }
        }

        async fn update(&self, id: u64, body: &str) -> Result<Found, Failure> {
            let mut comments = self.comments.borrow_mut();
            let Some(found) = comments.iter_mut().find(|found| found.id == id) else {
                return Err(Failure::NotFound("404".to_owned()));
            };
            found.body = body.to_owned();
            Ok(found.clone())
        }

        async fn delete(&self, id: u64) -> Result<(), Failure> {
            self.comments.borrow_mut().retain(|found| found.id != id);
            Ok(())
        }
    }

    fn posted(fake: &Fake, run: u64) -> Result<Posted, Failure> {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(post(fake, 7, ME, &marker(run), &text(run)))
    }

    #[test]
    fn whatever_happens_to_a_creation_one_comment_remains() {
        use Accident::{AnswerLost, Deleted, OtherRunToo, RequestLost};
        for (accidents, created, left) in [
            (vec![], 1, 5),
            (vec![AnswerLost], 1, 5),
            (vec![RequestLost], 2, 5),
            (vec![RequestLost, AnswerLost], 2, 5),
            (vec![Deleted], 2, 5),
            (vec![OtherRunToo(4)], 1, 5),
            (vec![OtherRunToo(6)], 1, 6),
        ] {
            let fake = Fake::default();
            fake.accidents.borrow_mut().extend(&accidents);
            posted(&fake, 5).unwrap();
            assert_eq!(fake.bodies(), [text(left)], "{}", accidents.len());
            assert_eq!(*fake.created.borrow(), created);
        }
    }

    #[test]
    fn what_is_refused_or_stays_unclear_is_not_tried_for_ever() {
        use Accident::{Refused, RequestLost};
        for (accidents, created) in [(vec![Refused], 1), (vec![RequestLost; 9], 2)] {
            let fake = Fake::default();
            fake.accidents.borrow_mut().extend(&accidents);
            assert!(posted(&fake, 5).is_err());
            assert_eq!(*fake.created.borrow(), created);
        }
    }

    #[test]
    fn a_run_after_another_updates_and_an_older_one_does_not() {
        let fake = Fake::default();
        assert!(matches!(posted(&fake, 5), Ok(Posted::Created(_))));
        assert!(matches!(posted(&fake, 5), Ok(Posted::Unchanged(_))));
        assert!(matches!(posted(&fake, 6), Ok(Posted::Updated(_))));
        assert!(matches!(posted(&fake, 5), Ok(Posted::Newer(_))));
        assert_eq!(fake.bodies(), [text(6)]);
    }
}
