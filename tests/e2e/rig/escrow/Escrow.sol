// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

// An escrow for payment channels with the interface of Tempo's, as far as a client that opens, tops up and spends needs it.
// It takes deposits, pays vouchers out, and refunds what is left; withdrawing without the payee is left out, for no test does it.
// Its code in code.ts is what solc 0.8.37 makes of it: optimizer 200 runs, EVM version paris, no metadata.

interface Token {
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
    function transfer(address to, uint256 amount) external returns (bool);
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

    function requestClose(bytes32 id) external {
        require(channels[id].payer == msg.sender, "not the payer");
        channels[id].closeRequestedAt = uint64(block.timestamp);
    }

    function close(bytes32 id, uint128 cumulative, bytes calldata signature) external {
        Channel storage channel = channels[id];
        require(channel.payee == msg.sender, "not the payee");
        require(!channel.finalized, "finalized");
        require(cumulative >= channel.settled && cumulative <= channel.deposit, "amount");
        address signer = channel.authorizedSigner == address(0) ? channel.payer : channel.authorizedSigner;
        require(recover(digest(id, cumulative), signature) == signer, "signature");
        uint128 paid = cumulative - channel.settled;
        channel.settled = cumulative;
        channel.finalized = true;
        require(Token(channel.token).transfer(channel.payee, paid), "unpaid");
        require(Token(channel.token).transfer(channel.payer, channel.deposit - cumulative), "not refunded");
    }

    function digest(bytes32 id, uint128 cumulative) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Tempo Stream Channel"),
                keccak256("1"),
                block.chainid,
                address(this)
            )
        );
        bytes32 voucher =
            keccak256(abi.encode(keccak256("Voucher(bytes32 channelId,uint128 cumulativeAmount)"), id, cumulative));
        return keccak256(abi.encodePacked("\x19\x01", domain, voucher));
    }

    function recover(bytes32 hash, bytes calldata signature) private pure returns (address) {
        require(signature.length == 65, "length");
        return ecrecover(hash, uint8(signature[64]), bytes32(signature[:32]), bytes32(signature[32:64]));
    }

    function getChannel(bytes32 id) external view returns (Channel memory) {
        return channels[id];
    }
}
