// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

// An escrow for payment channels with the interface of Tempo's, as far as a client that opens, tops up and spends needs it.
// It takes deposits and tells of them; redeeming vouchers is left out, for no test here does it.
// Its code in code.ts is what solc 0.8.37 makes of it: optimizer 200 runs, EVM version paris, no metadata.

interface Token {
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

contract Escrow {
    struct Channel {
        bool finalized;
        uint64 closeRequestedAt;
        address payer;
        address payee;
        address token;
        address authorizedSigner;
        uint128 deposit;
        uint128 settled;
    }

    mapping(bytes32 => Channel) private channels;

    function open(address payee, address token, uint128 deposit, bytes32 salt, address authorizedSigner)
        external
        returns (bytes32 id)
    {
        id = keccak256(abi.encode(msg.sender, payee, token, salt, authorizedSigner, address(this), block.chainid));
        require(channels[id].payer == address(0), "exists");
        channels[id] = Channel(false, 0, msg.sender, payee, token, authorizedSigner, deposit, 0);
        require(Token(token).transferFrom(msg.sender, address(this), deposit), "unpaid");
    }

    function topUp(bytes32 id, uint256 additional) external {
        Channel storage channel = channels[id];
        require(channel.payer == msg.sender, "not the payer");
        channel.deposit += uint128(additional);
        require(Token(channel.token).transferFrom(msg.sender, address(this), additional), "unpaid");
    }

    function getChannel(bytes32 id) external view returns (Channel memory) {
        return channels[id];
    }
}
