//! What stands in the folder for whoever finds it.

pub(super) const TEXT: &str = "\
This folder is the state of one node of a vouchsafe network. The program that runs the node reads and
writes it. Nothing here is to be edited by hand.

  node.key     The secret key of the node. Who has it can speak as this node.
  author.key   The secret key under which the node speaks, if that is another one.
  positions    The position log: at which times the key may have been used, so that no restart uses a
               position twice. (positions.lock is held while the node runs.)
  store/       What is kept of topics. Other nodes have it too, as far as they keep the same topics.
  anchors      Up to four peers by which the node finds its network again.
  cursors      Where the named readers of the program stand.
  lock         Held while the node runs. It says the format of the folder.
  *.new        What was being written when the program was stopped. It is worth nothing.

Back up node.key and author.key, in a place that is as secret as this one: nobody can make them again. The
rest may be lost. Without `positions` the node is silent for half a minute at its next start. Without
`store` it fetches from others what they keep. Without `cursors` the program reads from the beginning again.
Copy `store`, `cursors` and `lock` together, while the node does not run: a cursor of another store is refused.

NEVER LET TWO COPIES RUN. Two programs with one key say different things at one position. That is what
liars do, and any node that hears both refuses all that this key says from then on. The lock keeps a second
program out of this folder. It can't keep one out of a copy on another machine. Start a copy only when the
original has stopped for good, and delete `positions` in the copy first: the node is then silent for half
a minute, and uses no position that the original has used since the copy was made.

The folder has mode 0700 and the keys have mode 0600: a node does not start with a folder or a key that
others can read.
";
