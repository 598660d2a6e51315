# Every option of `sottovoce transcribe`, as a person would type it. Run by test_command_line.py, which sets $URL, $KEY and the engine
# (one word for each second of speech) and puts recordings into the folder. Ends at the first thing that is not as it must be.

says() { # says WORDS COMMAND…: the command succeeds, and its output has the words
    wanted=$1; shift
    "$@" >out 2>err || { echo "failed: $*"; cat err; exit 1; }
    grep -q -e "$wanted" out err || { echo "no '$wanted': $*"; cat out err; exit 1; }
}
fails() { # fails STATUS WORDS COMMAND…: the command ends with the status, and its errors have the words
    status=$1; wanted=$2; shift 2
    code=0; "$@" >out 2>err || code=$?
    test "$code" = "$status" || { echo "ended with $code: $*"; cat out err; exit 1; }
    grep -q -e "$wanted" err || { echo "no '$wanted': $*"; cat err; exit 1; }
}
json() { python3 -c "import json, sys; data = json.load(open('$1')); assert $2, data"; }

# files, folders, patterns, standard input, addresses
says Alpha sottovoce transcribe talk.flac
says '# a.flac' sottovoce transcribe calls
says '# a.flac' sottovoce transcribe 'calls/**/*.flac'
says Alpha sottovoce transcribe - <talk.flac
fails 1 'gone.wav: there is no such file' sottovoce transcribe gone.wav talk.flac
grep -q Alpha out
fails 1 'not fetched' sottovoce transcribe http://127.0.0.1:1/talk.flac

# outputs and formats
sottovoce transcribe talk.flac -o said.srt && grep -q -e '-->' said.srt
sottovoce transcribe talk.flac --output said.json && json said.json 'data["format"] == "2.9"'
sottovoce transcribe talk.flac -o said.docx && test -s said.docx
fails 2 'docx needs -o FILE' sottovoce transcribe talk.flac --format docx
sottovoce transcribe calls talk.flac --output-dir made --format txt,json --format srt,vtt,docx --quiet 2>err
test ! -s err
for suffix in txt json srt vtt docx; do test -s "made/talk.$suffix" && test -s "made/a.$suffix" && test -s "made/below/b.$suffix"; done
sottovoce transcribe calls --format json >list && json list 'len(data) == 2'
rm made/talk.txt
sottovoce transcribe calls talk.flac --output-dir made --skip-existing --json >lines
grep -c '"event": "skipped"' lines | grep -qx 2 && test -s made/talk.txt

# what is recognised, and how it is written
says Alpha sottovoce transcribe talk.flac --engine tests.sleeper:ENGINE --language en --operating-point enhanced
fails 1 'models pull whisper-base' sottovoce transcribe talk.flac --engine whisper --model base --data-dir empty
says 'custom words have no effect' sottovoce transcribe talk.flac --vocab Ljubljana --vocab names.txt
fails 2 'there is no file missing.txt' sottovoce transcribe talk.flac --vocab missing.txt
says 'SPEAKER: S1' sottovoce transcribe talk.flac --diarization speaker
says 'CHANNEL: channel_1' sottovoce transcribe talk.flac --diarization channel
says Alpha sottovoce transcribe talk.flac --entities --locale en-GB
says Alpha sottovoce transcribe talk.flac --track 1
fails 1 'track' sottovoce transcribe talk.flac --track 7
sottovoce transcribe talk.flac --max-line-length 12 --max-lines 1 -o narrow.srt
awk '/^[A-Za-z]/ && length($0) > 12 { exit 1 }' narrow.srt
sottovoce transcribe talk.flac --summary --format json >summary && json summary '"summary" in data'
fails 1 'not translated\|--translate: cy' sottovoce transcribe talk.flac --translate cy
says Alpha sottovoce transcribe talk.flac --translate en --language en

# failures and machines
fails 1 'bad.wav: ' sottovoce transcribe bad.wav talk.flac --json
grep -q '"event": "failed", "file": "bad.wav"' out && grep -q '"event": "ended", "done": 1, "skipped": 0, "failed": 1' out

# by a server
says Alpha sottovoce transcribe talk.flac --server "$URL" --key "$KEY"
export SOTTOVOCE_API_KEY="$KEY"
says Alpha sottovoce transcribe talk.flac --server "$URL" --quiet
unset SOTTOVOCE_API_KEY
sottovoce transcribe talk.flac bad.wav --server "$URL" --key "$KEY" --output-dir there --format srt,docx 2>err && exit 1
test -s there/talk.srt && test -s there/talk.docx && grep -q 'bad.wav: ' err
fails 1 'does not accept the key' sottovoce transcribe talk.flac --server "$URL" --key wrong
