//! What the honest nodes have to say.

use std::path::Path;

use bytes::Bytes;

use crate::exit::Failure;
use crate::files;
use crate::lines::{TooLong, line};

/// Longest line of a text: what a default topic carries in one rumor.
const MAX_LINE: usize = 16 * 1024;

/// Lines written for this demo.
const BUILT_IN: &str = "\
The ferry leaves at six, whatever the fog says.
Somebody painted the lighthouse blue and will not own up to it.
The baker swears the new oven hums in tune with the church bell.
Two swans have moved into the mill pond and charge no rent.
The schoolmaster lost a bet and must now whistle every noon.
Rain by Thursday, says the knee of the old harbour master.
A crate of oranges washed ashore and nobody is hungry any more.
The bridge toll is a penny, or a good story, as before.
The clockmaker's cat has learned to wind the small clocks.
Three lanterns on the hill mean supper; four mean come quickly.
The library will forgive all fines for books brought back dry.
A stranger asked the way to the sea and walked away from it.
The well by the market tastes of iron again; boil it first.
The choir has one tenor too many and nobody dares to say which.
Plums are early this year, and wasps are earlier.
The miller's daughter beat the mayor at chess in nineteen moves.
The night train stopped for a fox and was forgiven the delay.
Whoever borrowed the long ladder: the roof still leaks.
The postman carries a stick now, because of the swans.
Old nets for sale, more holes than string, ask at the quay.
The fiddler has gone to the city and taken the only fiddle.
Snow on the pass; send letters by the valley road.
The apothecary is out of mint and full of advice.
A bell was heard under the lake again, on a windless night.
The tailor guarantees his buttons, though not the coats.
Bring a chair to the meeting, and if you can, a reason.
The goats have eaten the notice about the goats.
Somebody leaves one red apple on the milestone every morning.
The smith will mend kettles for free until the new moon.
The map in the town hall shows a street that no one can find.
The beekeeper asks for quiet between two and three.
Lost: one grey glove. Found: three, all left.
The tide took the lower steps; use the upper ones.
The inn has changed its sign but not its soup.
A kite is stuck in the tall poplar; the owner is forty-six.
The astronomer says tonight, if the clouds are kind.
The orchard gate squeaks so that the owner need not listen.
The weaver's loom is older than the bridge, and straighter.
Ask the twins at the forge only one question at a time.
The ice holds a dog but not yet a cart.
Nothing happened on Sunday, and everybody was glad of it.
Pass it on, but check the seal before you do.
";

pub(super) fn built_in() -> Vec<Bytes> {
    BUILT_IN.lines().map(|line| Bytes::from_static(line.as_bytes())).collect()
}

/// The first lines of a file that are not empty, at most `most`: more are never said.
pub(super) fn from_file(path: &Path, most: usize) -> Result<Vec<Bytes>, Failure> {
    let mut input = files::open(path).map_err(|error| Failure::file(path, &error))?;
    let mut lines = Vec::new();
    let mut number = 0u64;
    while lines.len() < most {
        number += 1;
        match line(&mut input, MAX_LINE).map_err(|error| Failure::file(path, &error))? {
            None => break,
            Some(Ok(line)) if line.is_empty() => {}
            Some(Ok(line)) => lines.push(Bytes::from(line)),
            Some(Err(TooLong)) => {
                return Err(Failure::Usage(format!(
                    "{}, line {number}: more than the {MAX_LINE} bytes that a rumor may have: break the line",
                    path.display()
                )));
            }
        }
    }
    if lines.is_empty() {
        return Err(Failure::Usage(format!(
            "{} has no line with anything on it: give a text of at least one line",
            path.display()
        )));
    }
    Ok(lines)
}
