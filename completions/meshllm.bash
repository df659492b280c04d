# shellcheck shell=bash
# bash completion for meshllm(1).  What there is to complete is asked of the
# program itself (--help), so that it is that of the version installed.

# Usage: __meshllm_words OPTION-OR-WORD COMMAND...
__meshllm_words() {
	local what=$1 pattern

	shift
	case $what in
	options) pattern='s/^  \(--[a-z-]*\).*/\1/p' ;;
	words) pattern='s/^  \([a-z][a-z-]*\)\( .*\)\{0,1\}$/\1/p' ;;
	esac
	"$@" 2>/dev/null | sed -n "$pattern"
}

__meshllm_value() {
	case $1 in
	--log-level) echo 'error warning info debug' ;;
	--log-format) echo 'auto text json journal' ;;
	--attester) echo 'tpm2 software none' ;;
	--level | --require-attested-hosts)
		echo 'self-signed tofu pinned hardware'
		;;
	esac
}

_meshllm() {
	local program=${COMP_WORDS[0]} cur=${COMP_WORDS[COMP_CWORD]}
	local prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
	local words option of

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		words=$(__meshllm_words words "$program" help)
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
		return
	fi
	# `--option=value` comes as three words.
	option=$prev
	[ "$cur" != = ] || cur=
	[ "$prev" != = ] || option=${COMP_WORDS[COMP_CWORD - 2]}
	case $option in
	--config | --ek-chain | --api-keys | --save)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--state-dir | --daemon-dir)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	esac
	words=$(__meshllm_value "$option")
	if [ -z "$words" ]; then
		# What is reloaded was started with the options of run.
		of=$command
		[ "$of" != reload ] || of=run
		words=$(__meshllm_words options "$program" "$of" --help)
		case $cur,$command in
		-*,*) ;;
		*,config | *,key | *,trust)
			words+=" $(__meshllm_words words \
				"$program" "$command" --help)"
			;;
		*,reload)
			[ "$COMP_CWORD" != 2 ] || words+=" $(__meshllm_words \
				words "$program" reload --help)"
			;;
		*,verify) words+=" $(compgen -f -- "$cur")" ;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _meshllm meshllm
