# Sourced by what runs in a folder of results.  Two runs in one folder would disturb each other: the second waits.  The
# lock is free when all processes of the first have ended, also those that outlive a killed script.
#
#   alone_in FOLDER      makes the folder
alone_in() {
  mkdir -p "$1"
  exec 9>"$1/.lock"
  if ! flock --nonblock 9; then
    echo "another run is at work in $1; waiting for its end"
    flock 9
  fi
}
