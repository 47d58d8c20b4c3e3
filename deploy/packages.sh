# Packages and builds: sourced by deploy/start, tests/run and .ci/run, from the top folder.

build_packages=(cmake ninja-build gcc libc6-dev pkg-config libuv1-dev libhiredis-dev libprotobuf-c-dev
    protobuf-c-compiler libssl-dev libhttp-parser-dev libinih-dev libjansson-dev
    libcurl4-openssl-dev liburing-dev zlib1g-dev)
# What deploy/package needs beside these.
package_packages=(dpkg-dev file help2man)

# The sanitizers' runtime comes in a package of clang's own version. Where clang is yet to be
# installed it will be the default one, and the package without a number goes with that.
clang_packages() {
    local version
    version=$(clang -dumpversion 2>/dev/null) && version=-${version%%.*}
    printf '%s\n' clang "libclang-rt${version-}-dev"
}

missing_packages() {
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
        sed -n 's/^installed //p' | sort -u |
        comm -13 - <(printf '%s\n' "$@" | sort -u)
}

# require_packages PACKAGE…: installs what is missing, as root or with sudo. Without either, or when
# that fails, it prints the line to run and fails.
require_packages() {
    local missing as_root=()
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0

    local install=(apt-get install -y --no-install-recommends "${missing[@]}")
    if [ "$(id -u)" -ne 0 ]; then
        as_root=(sudo)
        if ! command -v sudo >/dev/null; then
            echo "Packages are missing. As root, run:" >&2
            echo "  apt-get update && ${install[*]}" >&2
            return 1
        fi
    fi
    echo "Installing packages: ${missing[*]}" >&2
    "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "${install[@]}" -qq >/dev/null &&
        return 0
    echo "That failed. As root, run:" >&2
    echo "  apt-get update && ${install[*]}" >&2
    return 1
}

# take_program PACKAGE PATH TARGET: a program out of a package, which is not installed.
take_program() {
    local folder status=0 as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    local download=(apt-get download -qq -o APT::Sandbox::User=root "$1")
    folder=$(mktemp -d)
    {
        { (cd "$folder" && "${download[@]}") ||
            { "${as_root[@]}" apt-get update -qq && (cd "$folder" && "${download[@]}"); }; } &&
            dpkg-deb --fsys-tarfile "$folder/$1"_*.deb | tar -x --to-stdout ".$2" >"$folder/program" &&
            install -D "$folder/program" "$3"
    } || status=1
    rm -rf "$folder"
    return "$status"
}

# unpack_package FOLDER PACKAGE: a package, and what it depends on and is not installed, unpacked in
# FOLDER. Nothing is installed, so no service starts; what is installed already is left out.
unpack_package() {
    local names work status=0 as_root=()
    [ -e "$1/.$2" ] && return 0
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    local install=(apt-get -s install --no-install-recommends "$2")
    names=$("${install[@]}" 2>/dev/null) ||
        { "${as_root[@]}" apt-get update -qq && names=$("${install[@]}"); } || return 1
    names=$(sed -n 's/^Inst \([^ ]*\).*/\1/p' <<<"$names")
    work=$(mktemp -d)
    mkdir -p "$1"
    # shellcheck disable=SC2086 # one word for each package
    { [ -z "$names" ] || (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root $names) ||
        { "${as_root[@]}" apt-get update -qq &&
            (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root $names); }; } &&
        find "$work" -name '*.deb' -exec dpkg-deb -x {} "$1" \; &&
        touch "$1/.$2" || status=1
    rm -rf "$work"
    return "$status"
}

# build_preset PRESET [TARGET…]: configures once, then builds what changed; says so when there is
# anything to build, and is quiet unless that fails. Two at a time take turns. BUILD_WERROR=ON
# makes warnings errors where the preset does not.
build_preset() {
    local preset=$1 log werror=()
    shift
    log=$(mktemp)
    mkdir -p build
    [ -z "${BUILD_WERROR-}" ] || werror=(-D "CARILLON_WERROR=$BUILD_WERROR")
    if {
        flock 9
        { [ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" "${werror[@]}"; } &&
            cmake --build --preset "$preset" ${1:+--target "$@"}
    } 2>&1 9>"build/$preset.lock" | announce_build "$preset" >"$log"; then
        rm -f "$log"
        return 0
    fi
    cat "$log" >&2
    rm -f "$log"
    echo "The build of the $preset preset failed." >&2
    return 1
}

# Passes a build's output on. With nothing to do, ninja says only that and that it has looked.
announce_build() {
    local line
    while IFS= read -r line; do
        printf '%s\n' "$line"
        case $line in
        'ninja: no work to do.' | '[0/'*) ;;
        *)
            echo "Building build/$1 ..." >&2
            break
            ;;
        esac
    done
    cat
}
