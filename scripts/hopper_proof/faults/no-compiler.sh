# No gcc, cc, g++ or c++ on the PATH, and nothing compiled yet.
mkdir -p "$PROOF_WORK/bin"
for program in /usr/bin/* /bin/*; do
  case ${program##*/} in
    *gcc* | *g++* | *c++* | cc | clang* | c89* | c99*) ;;
    *) ln -sf "$program" "$PROOF_WORK/bin/" ;;
  esac
done
unset CC CXX
export PATH="$MIRROR_GENERATION/venv/bin:$PROOF_WORK/bin"
. "$PROOF_FAULTS/empty-caches.sh"
