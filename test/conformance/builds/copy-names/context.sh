touch 'with space' 'ünïcödé' '.hidden' ./-dash 'back\slash' "$(printf '%0200d' 7)" "$(printf 'new\nline')"
mkdir -p "$(printf '%0100d' 1)/$(printf '%0100d' 2)/$(printf '%0100d' 3)"
touch "$(printf '%0100d' 1)/$(printf '%0100d' 2)/$(printf '%0100d' 3)/file"
